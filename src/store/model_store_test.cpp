#include "store/model_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "model/gguf_bytes_for_test.h"
#include "store/digest.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;

class ModelStoreTest : public testing::Test {
 protected:
  // Writes a file, and the folders that it needs.
  std::string write(const std::string& name, std::string_view bytes) {
    fs::create_directories(fs::path(folder_.path(name)).parent_path());
    return folder_.write(name, bytes);
  }

  // A model with what Ollama keeps of it; the SHA-256 of its file.
  std::string add_ollama(const std::string& place, const std::string& model,
                         const std::string& more_layers = "") {
    const std::string digest = blob(model);
    write("ollama/manifests/" + place,
          R"({"schemaVersion": 2, "layers": [{"mediaType": "application/vnd.ollama.image.model",)"
          R"("digest": "sha256:)" +
              digest + R"(", "size": )" + std::to_string(model.size()) + "}" + more_layers + "]}");
    return digest;
  }

  std::string blob(const std::string& bytes) {
    Sha256 hash;
    hash.add(bytes);
    const std::string digest = hash.hex();
    write("ollama/blobs/sha256-" + digest, bytes);
    return digest;
  }

  std::string layer(const std::string& kind, const std::string& bytes) {
    return R"(, {"mediaType": "application/vnd.ollama.image.)" + kind + R"(", "digest": "sha256:)" +
           blob(bytes) + R"(", "size": )" + std::to_string(bytes.size()) + "}";
  }

  // As Hugging Face's programs lay it out: a link to a blob.
  void add_hugging_face(const std::string& repository, const std::string& revision,
                        const std::string& file, std::string_view bytes) {
    const std::string base = "hub/models--" + repository;
    const std::string blob = revision + fs::path(file).filename().string();
    const std::string target = write(base + "/blobs/" + blob, bytes);
    const fs::path link = folder_.path(base + "/snapshots/" + revision + "/" + file);
    fs::create_directories(link.parent_path());
    fs::create_symlink(target, link);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const StoredModel& model : store_.list()) names.push_back(model.name);
    return names;
  }

  using Names = std::vector<std::string>;

  TestDirectory folder_;
  ModelStore store_{{.models = folder_.path("models"),
                     .ollama = {folder_.path("ollama"), folder_.path("none")},
                     .hugging_face = folder_.path("hub")}};
};

TEST_F(ModelStoreTest, NothingIsThere) {
  EXPECT_EQ(names(), Names());
  const Result<StoredModel> model = store_.find("llama3");
  EXPECT_EQ(model.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(model.status().hint().find("hypura list"), std::string::npos);
}

TEST_F(ModelStoreTest, FilesOfAFolder) {
  write("models/storyteller-moe-q4_k_m.gguf", "GGUF1");
  write("models/llama3--8b.gguf", "GGUF22");
  write("models/org/repo--Q4_K_M.gguf", "GGUF");
  write("models/a/b/too-deep.gguf", "GGUF");
  write("models/text.txt", "text");
  write("models/.hidden.gguf", "GGUF");
  write("models/unfinished.gguf.partial", "GGUF");
  fs::create_directories(folder_.path("models/folder.gguf"));
  ASSERT_EQ(::mkfifo(folder_.path("models/pipe.gguf").c_str(), 0600), 0);
  fs::create_symlink("nowhere", folder_.path("models/broken.gguf"));
  EXPECT_EQ(names(), (Names{"llama3:8b", "org/repo:Q4_K_M", "storyteller-moe-q4_k_m"}));

  const Result<StoredModel> model = store_.find("Storyteller-MoE-Q4_K_M:latest");
  ASSERT_TRUE(model.ok()) << model.status().to_string();
  EXPECT_EQ(model->path, folder_.path("models/storyteller-moe-q4_k_m.gguf"));
  EXPECT_EQ(model->bytes, 5u);
  EXPECT_GT(model->modified_ns, int64_t{1'600'000'000'000'000'000});
  EXPECT_EQ(model->source, ModelSource::folder);
  EXPECT_EQ(model->digest, "");
  EXPECT_EQ(store_.find("llama3:8b")->bytes, 6u);
  EXPECT_EQ(store_.find("repo:q4_k_m")->name, "org/repo:Q4_K_M") << "the file's name alone";
  EXPECT_FALSE(store_.find("llama3").ok()) << "another tag is another model";
}

TEST_F(ModelStoreTest, ShardsAreOneModel) {
  write("models/big-00001-of-00002.gguf", "GGUF");
  EXPECT_EQ(names(), Names());
  write("models/big-00002-of-00002.gguf", "GGUF 2");
  write("models/lost-00002-of-00002.gguf", "GGUF");
  EXPECT_EQ(names(), Names{"big"});
  EXPECT_EQ(store_.find("big")->bytes, 10u);
  EXPECT_EQ(store_.find("big")->path, folder_.path("models/big-00001-of-00002.gguf"));
}

TEST_F(ModelStoreTest, ProjectorsAreNoModels) {
  write("models/gemma/gemma-Q4_K_M.gguf", "GGUF");
  write("models/gemma/mmproj-F16.gguf", "GGUF");
  write("models/llava.gguf", "GGUF");
  write("models/llava.mmproj.gguf", "GGUF");
  write("models/plain.gguf", "GGUF");
  EXPECT_EQ(names(), (Names{"gemma/gemma-Q4_K_M", "llava", "plain"}));
  EXPECT_EQ(store_.find("gemma-q4_k_m")->projector_path,
            folder_.path("models/gemma/mmproj-F16.gguf"));
  EXPECT_EQ(store_.find("llava")->projector_path, folder_.path("models/llava.mmproj.gguf"));
  EXPECT_EQ(store_.find("plain")->projector_path, "");
}

TEST_F(ModelStoreTest, SidecarsOfOtherFilesAreIgnored) {
  const std::string digest = Sha256().hex();
  write("models/a.gguf", "GGUF");
  write("models/a.json", R"({"url": "http://x", "sha256": ")" + digest + R"(", "bytes": 4})");
  write("models/b.gguf", "GGUF");
  write("models/b.json", R"({"url": "http://x", "sha256": ")" + digest + R"(", "bytes": 5})");
  write("models/c.gguf", "GGUF");
  write("models/c.json", R"([1, 2)");
  write("models/d.gguf", "GGUF");
  write("models/d.json", R"({"url": 1, "sha256": "../../x", "bytes": 4})");
  EXPECT_EQ(store_.find("a")->digest, digest);
  for (const char* name : {"b", "c", "d"}) EXPECT_EQ(store_.find(name)->digest, "") << name;
}

TEST_F(ModelStoreTest, OllamasModels) {
  const std::string digest =
      add_ollama("registry.ollama.ai/library/llama3/8b", "GGUF",
                 layer("projector", "GGUF p") + layer("template", "{{ .Prompt }}") +
                     layer("system", "You are.") + layer("params", R"({"stop": ["x"]})") +
                     layer("license", "MIT") + layer("adapter", "?"));
  add_ollama("registry.ollama.ai/someone/theirs/latest", "GGUF 2");
  add_ollama("hf.co/org/repo/Q4_K_M", "GGUF 3");
  EXPECT_EQ(names(), (Names{"hf.co/org/repo:Q4_K_M", "llama3:8b", "someone/theirs:latest"}));

  const Result<StoredModel> model = store_.find("LLAMA3:8B");
  ASSERT_TRUE(model.ok()) << model.status().to_string();
  EXPECT_EQ(model->path, folder_.path("ollama/blobs/sha256-" + digest));
  EXPECT_EQ(model->digest, digest);
  EXPECT_EQ(model->bytes, 4u);
  EXPECT_EQ(model->source, ModelSource::ollama);
  EXPECT_EQ(model->texts.chat_template, "{{ .Prompt }}");
  EXPECT_EQ(model->texts.system, "You are.");
  EXPECT_EQ(model->texts.parameters, R"({"stop": ["x"]})");
  EXPECT_EQ(model->texts.license, "MIT");
  EXPECT_FALSE(model->projector_path.empty());
  EXPECT_TRUE(store_.find("someone/theirs").ok());
  EXPECT_TRUE(store_.find("org/repo:q4_k_m").ok());
  EXPECT_FALSE(store_.find("llama3").ok());
}

TEST_F(ModelStoreTest, HostileManifestsAreLeftOut) {
  write("secret", "GGUF");
  const auto manifest = [this](const std::string& name, const std::string& text) {
    write("ollama/manifests/registry.ollama.ai/library/" + name + "/latest", text);
  };
  const auto with_digest = [](const std::string& digest) {
    return R"({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": ")" +
           digest + R"(", "size": 4}]})";
  };
  manifest("path", with_digest("sha256:../../../secret"));
  manifest("other", with_digest("sha512:" + std::string(64, 'a')));
  manifest("missing", with_digest("sha256:" + std::string(64, 'a')));
  manifest("upper", with_digest("sha256:" + std::string(64, 'A')));
  manifest("bare", with_digest(std::string(64, 'a')));
  manifest("noise", "\xff\xfe{]");
  manifest("list", "[]");
  manifest("number", R"({"layers": 1})");
  manifest("layers", R"({"layers": [1, {}, null]})");
  manifest("none", R"({"layers": []})");
  manifest("negative", R"({"layers": [{"mediaType": "application/vnd.ollama.image.model",
      "digest": "sha256:)" + blob("GGUF") + R"(", "size": -4}]})");
  manifest("deep", std::string(100'000, '['));
  manifest("huge", std::string(5 << 20, ' '));
  ASSERT_EQ(::mkfifo(folder_.path("ollama/manifests/registry.ollama.ai/library/none/pipe").c_str(),
                     0600), 0);
  EXPECT_EQ(names(), Names());
}

TEST_F(ModelStoreTest, HuggingFacesCache) {
  add_hugging_face("org--repo-GGUF", "old", "Repo-Q8_0.gguf", "GGUF old");
  add_hugging_face("org--repo-GGUF", "main1", "Repo-Q8_0.gguf", "GGUF");
  add_hugging_face("org--repo-GGUF", "main1", "Repo-Q4_K_M.gguf", "GGUF 4");
  add_hugging_face("org--repo-GGUF", "main1", "Q2_K/Repo-Q2_K-00001-of-00002.gguf", "GGUF");
  add_hugging_face("org--repo-GGUF", "main1", "Q2_K/Repo-Q2_K-00002-of-00002.gguf", "GGUF");
  add_hugging_face("org--repo-GGUF", "main1", "mmproj-F16.gguf", "GGUF");
  write("hub/models--org--repo-GGUF/refs/main", "main1\n");
  add_hugging_face("gpt2", "a", "gpt2.gguf", "GGUF");
  write("hub/datasets--a--b/snapshots/x/a.gguf", "GGUF");
  fs::create_directories(folder_.path("hub/models--"));
  EXPECT_EQ(names(), (Names{"gpt2:gpt2", "org/repo-GGUF:Q2_K", "org/repo-GGUF:Q4_K_M",
                            "org/repo-GGUF:Q8_0"}));

  EXPECT_EQ(store_.find("hf.co/org/repo-gguf:q8_0")->bytes, 4u) << "of the main revision";
  EXPECT_EQ(store_.find("org/repo-GGUF:Q2_K")->bytes, 8u);
  EXPECT_EQ(store_.find("org/repo-GGUF")->name, "org/repo-GGUF:Q4_K_M");
  EXPECT_EQ(store_.find("org/repo-GGUF")->source, ModelSource::hugging_face);
  EXPECT_NE(store_.find("org/repo-GGUF")->projector_path, "");
  const Result<StoredModel> missing = store_.find("org/repo-GGUF:Q5_0");
  EXPECT_NE(missing.status().hint().find("did you mean org/repo-GGUF:Q"), std::string::npos)
      << missing.status().to_string();
}

TEST_F(ModelStoreTest, OurOwnComeFirst) {
  add_ollama("registry.ollama.ai/library/llama3/latest", "GGUF ollama");
  write("models/llama3.gguf", "GGUF");
  EXPECT_EQ(names(), Names{"llama3"});
  EXPECT_EQ(store_.find("llama3:latest")->source, ModelSource::folder);
}

TEST_F(ModelStoreTest, Suggestions) {
  write("models/storyteller.gguf", "GGUF");
  EXPECT_NE(store_.find("storytaller").status().hint().find("did you mean storyteller?"),
            std::string::npos);
}

TEST_F(ModelStoreTest, HostileNamesTouchNothing) {
  write("secret.gguf", "GGUF");
  write("models/a.gguf", "GGUF");
  for (const std::string& name :
       {std::string("../secret"), folder_.path("secret"), std::string("a\0", 2),
        std::string("..\\secret"), std::string("a/../../secret"), std::string()}) {
    EXPECT_EQ(store_.find(name).status().code(), StatusCode::invalid_argument) << name;
    EXPECT_EQ(store_.remove(name).code(), StatusCode::invalid_argument) << name;
    EXPECT_EQ(store_.copy("a", name).status().code(), StatusCode::invalid_argument) << name;
    EXPECT_EQ(store_.copy(name, "b").status().code(), StatusCode::invalid_argument) << name;
  }
  EXPECT_TRUE(fs::exists(folder_.path("secret.gguf")));
  EXPECT_EQ(names(), Names{"a"});
}

TEST_F(ModelStoreTest, CopiesShareTheFile) {
  write("models/a-00001-of-00002.gguf", "GGUF");
  write("models/a-00002-of-00002.gguf", "GGUF");
  write("models/a.mmproj.gguf", "GGUF");
  const Result<StoredModel> copy = store_.copy("a", "org/b:8b");
  ASSERT_TRUE(copy.ok()) << copy.status().to_string();
  EXPECT_EQ(copy->path, folder_.path("models/org/b--8b-00001-of-00002.gguf"));
  EXPECT_EQ(copy->projector_path, folder_.path("models/org/b--8b.mmproj.gguf"));
  EXPECT_EQ(fs::hard_link_count(copy->path), 2u);
  EXPECT_EQ(names(), (Names{"a", "org/b:8b"}));
  EXPECT_EQ(store_.copy("a", "A").status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(store_.copy("a", "org/b:8b").status().code(), StatusCode::invalid_argument);

  ASSERT_TRUE(store_.remove("a").ok());
  EXPECT_EQ(names(), Names{"org/b:8b"});
  EXPECT_FALSE(fs::exists(folder_.path("models/a.mmproj.gguf")));
  ASSERT_TRUE(store_.remove("org/b:8b").ok());
  EXPECT_EQ(names(), Names());
  EXPECT_TRUE(fs::is_empty(folder_.path("models"))) << "the owner's folder went, too";
}

TEST_F(ModelStoreTest, ModelsOfOthersAreLinkedAndNotRemoved) {
  const std::string digest = add_ollama("registry.ollama.ai/library/llama3/latest", "GGUF",
                                        layer("system", "You are."));
  add_hugging_face("org--repo", "x", "repo-Q4_0.gguf", "GGUF");
  EXPECT_NE(store_.remove("llama3").hint().find("ollama rm llama3"), std::string::npos);
  EXPECT_EQ(store_.remove("org/repo:Q4_0").code(), StatusCode::invalid_argument);

  const Result<StoredModel> copy = store_.copy("llama3", "mine");
  ASSERT_TRUE(copy.ok()) << copy.status().to_string();
  EXPECT_TRUE(fs::is_symlink(copy->path));
  EXPECT_EQ(copy->digest, digest);
  EXPECT_EQ(copy->texts.system, "You are.");
  ASSERT_TRUE(store_.copy("org/repo", "theirs").ok());
  ASSERT_TRUE(store_.remove("mine").ok());
  ASSERT_TRUE(store_.remove("theirs").ok());
  EXPECT_EQ(names(), (Names{"llama3:latest", "org/repo:Q4_0"}));
  EXPECT_TRUE(fs::is_empty(folder_.path("models")));
}

TEST_F(ModelStoreTest, WhatWasDownloadedOfAModelGoesByItsName) {
  for (const char* name : {"org/a--Q4.gguf.partial", "org/a--Q4.gguf.partial.json",
                           "org/a--Q4.mmproj.gguf.partial", "org/a--Q4-00002-of-00003.gguf.partial",
                           "org/a--Q8.gguf.partial"}) {
    write("models/" + std::string(name), "GGUF");
  }
  EXPECT_EQ(names(), Names());
  ASSERT_TRUE(store_.remove("org/a:Q4").ok());
  EXPECT_FALSE(store_.remove("org/a:Q4").ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path("models/org")), {}), 1);
  ASSERT_TRUE(store_.remove("org/a:Q8").ok());
  EXPECT_TRUE(fs::is_empty(folder_.path("models")));
}

TEST_F(ModelStoreTest, AFileThatIsNoModelIsNotOverwritten) {
  write("models/a.gguf", "GGUF");
  fs::create_symlink("nowhere", folder_.path("models/b.gguf"));
  EXPECT_EQ(store_.copy("a", "b").status().code(), StatusCode::invalid_argument);
  EXPECT_TRUE(fs::is_symlink(folder_.path("models/b.gguf")));
}

}  // namespace
}  // namespace hypura

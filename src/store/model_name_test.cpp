#include "store/model_name.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

TEST(ModelName, KeysIgnoreCaseAndLatest) {
  EXPECT_EQ(name_key("Llama3:latest"), name_key("llama3"));
  EXPECT_EQ(name_key("hf.co/Org/Repo:Q4_K_M"), name_key("org/repo:q4_k_m"));
  EXPECT_EQ(name_key("a:8b"), name_key("a--8b"));
  EXPECT_NE(name_key("a:8b"), name_key("a"));
}

TEST(ModelName, HostileNamesAreRefused) {
  for (const std::string& name :
       {std::string(), std::string("../a"), std::string("a/../b"), std::string("/etc/passwd"),
        std::string("a\0b", 3), std::string("a\\b"), std::string("a\nb"), std::string("a//b"),
        std::string("a/"), std::string("."), std::string("a/."), std::string("\x1b[2J"),
        std::string(256, 'a')}) {
    EXPECT_EQ(check_name(name).code(), StatusCode::invalid_argument) << name;
    EXPECT_FALSE(stem_of_name(name).ok()) << name;
    EXPECT_EQ(check_name(name).to_string().find('\x1b'), std::string::npos);
  }
  EXPECT_TRUE(check_name("hf.co/org/repo:Q4_K_M").ok());
  EXPECT_TRUE(check_name("a file's name").ok()) << "such files may lie in the folder";
}

TEST(ModelName, NewNamesGoWhereTheyAreFoundAgain) {
  EXPECT_EQ(*stem_of_name("llama3"), "llama3");
  EXPECT_EQ(*stem_of_name("llama3.2:3b"), "llama3.2--3b");
  EXPECT_EQ(*stem_of_name("llama3:latest"), "llama3");
  EXPECT_EQ(*stem_of_name("hf.co/Org/Repo-GGUF:Q4_K_M"), "Org/Repo-GGUF--Q4_K_M");
  for (const char* name : {"llama3.2:3b", "llama3", "Org/Repo-GGUF:Q4_K_M"}) {
    EXPECT_EQ(name_of_stem(*stem_of_name(name)), name);
  }
  for (const char* name : {"a/b/c", "a:b:c", "a:", ":a", "a b", ".a", "-a", "a:.b", "a:b/c", "é",
                           "mmproj-a", "a.mmproj", "a-00001-of-00002", "$(a)", "a;b"}) {
    EXPECT_EQ(stem_of_name(name).status().code(), StatusCode::invalid_argument) << name;
  }
}

TEST(ModelName, StemsOfFilesThatWeDidNotName) {
  EXPECT_EQ(name_of_stem("storyteller-moe-q4_k_m"), "storyteller-moe-q4_k_m");
  EXPECT_EQ(name_of_stem("a/b--c"), "a/b:c");
  EXPECT_EQ(name_of_stem("a--b/c"), "a--b/c");
  EXPECT_EQ(name_of_stem("a--"), "a--");
  EXPECT_EQ(name_of_stem("--a"), "--a");
}

TEST(ModelName, Quantizations) {
  EXPECT_EQ(quantization_of_stem("Llama-3.2-1B-Instruct-Q4_K_M"), "Q4_K_M");
  EXPECT_EQ(quantization_of_stem("storyteller-moe-q4_k_m"), "q4_k_m");
  EXPECT_EQ(quantization_of_stem("llama-2-7b.Q8_0"), "Q8_0");
  EXPECT_EQ(quantization_of_stem("Qwen3-30B-UD-Q4_K_XL"), "UD-Q4_K_XL");
  EXPECT_EQ(quantization_of_stem("gpt-oss-20b-mxfp4"), "mxfp4");
  EXPECT_EQ(quantization_of_stem("model-BF16"), "BF16");
  EXPECT_EQ(quantization_of_stem("model-fp16"), "fp16");
  EXPECT_EQ(quantization_of_stem("llama-7b"), "llama-7b");
  EXPECT_EQ(quantization_of_stem("model-final"), "model-final");
  EXPECT_EQ(quantization_of_stem("plain"), "plain");
}

TEST(ModelName, Projectors) {
  EXPECT_TRUE(is_projector("mmproj-model-f16.gguf"));
  EXPECT_TRUE(is_projector("gemma.mmproj.gguf"));
  EXPECT_TRUE(is_projector("MMPROJ.GGUF"));
  EXPECT_FALSE(is_projector("gemma.gguf"));
  EXPECT_FALSE(is_projector("mmproj.txt"));
}

}  // namespace
}  // namespace hypura

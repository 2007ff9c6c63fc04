#include <gtest/gtest.h>

#include "store/model_name.h"
#include "store/remote_model.h"

namespace hypura {
namespace {

TEST(RemoteFile, NamesComeFromTheLastPart) {
  EXPECT_EQ(remote_file("https://host/dir/Llama-Q4_K_M.gguf?download=true").name, "Llama-Q4_K_M");
  EXPECT_EQ(remote_file("https://host/a%20b.gguf").name, "a-b");
  EXPECT_EQ(remote_file("https://host/a--8b.gguf").name, "a:8b");
  EXPECT_EQ(remote_file("https://host/%2e%2e%2fx.gguf").name, "..-x");
  EXPECT_FALSE(stem_of_name(remote_file("https://host/%2e%2e%2fx.gguf").name).ok());
  EXPECT_EQ(remote_file("https://host/a%zz%4.gguf").name, "a-zz-4");
  EXPECT_FALSE(stem_of_name(remote_file("https://host/").name).ok());
}

TEST(RemoteFile, AnyShardStandsForAll) {
  const RemoteModel model = remote_file("https://host/big-00002-of-00003.gguf?x=1");
  EXPECT_EQ(model.name, "big");
  ASSERT_EQ(model.shards.size(), 3u);
  EXPECT_EQ(model.shards[0].url, "https://host/big-00001-of-00003.gguf?x=1");
  EXPECT_EQ(model.shards[2].url, "https://host/big-00003-of-00003.gguf?x=1");
}

TEST(RemoteFile, APageOfHuggingFaceStandsForItsFile) {
  EXPECT_EQ(remote_file("https://huggingface.co/org/repo/blob/main/a.gguf").shards[0].url,
            "https://huggingface.co/org/repo/resolve/main/a.gguf");
  EXPECT_EQ(remote_file("https://host/blob/a.gguf").shards[0].url, "https://host/blob/a.gguf");
}

}  // namespace
}  // namespace hypura

#include "model/shard_names.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

TEST(ShardName, RoundTrips) {
  const std::string path = "/models/big-model-00002-of-00013.gguf";
  const std::optional<ShardName> name = parse_shard_name(path);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->prefix, "/models/big-model");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->count, 13u);
  EXPECT_EQ(to_path(*name), path);
}

TEST(ShardName, RefusesOtherNames) {
  for (const char* path :
       {"", "m.gguf", "-00001-of-00002.gguf", "m-1-of-2.gguf", "m-00001-of-00002.bin",
        "m-00001-of-0000x.gguf", "m-00000-of-00002.gguf", "m-00003-of-00002.gguf"}) {
    EXPECT_EQ(parse_shard_name(path), std::nullopt) << path;
  }
}

}  // namespace
}  // namespace hypura

#include "cli/inspect.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/gguf_bytes_for_test.h"

namespace hypura::cli {
namespace {

class Inspect : public testing::Test {
 protected:
  ModelIndex open(const GgufBytes& file) {
    Result<ModelIndex> index = ModelIndex::open(directory_.write("m.gguf", file.build()));
    EXPECT_TRUE(index.ok()) << index.status().to_string();
    return *std::move(index);
  }

  TestDirectory directory_;
};

TEST_F(Inspect, TextIsOneFactALine) {
  const std::string text = inspect_text(open(tiny_moe()), false);
  for (const char* line : {"name          Tiny\n", "architecture  tiny\n", "parameters    800\n",
                           "quantization  F32\n", "context       128\n", "layers        2\n",
                           "experts       2 of 4 used per token\n", "vocabulary    not stated\n",
                           "shards        1\n", "weights       2 KiB\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  }
  EXPECT_EQ(text.find("blk.1"), std::string::npos) << "tensors only when asked for";
}

TEST_F(Inspect, RolesAreSortedByBytesWithTheirShare) {
  const std::string text = inspect_text(open(tiny_moe()), false);
  const size_t embedding = text.find("embedding            1       1 KiB   49.4 %\n");
  const size_t router = text.find("router               1       512 B   24.7 %\n");
  const size_t norm = text.find("norm                 1       128 B    6.2 %\n");
  ASSERT_NE(norm, std::string::npos) << text;
  EXPECT_LT(embedding, router);
  EXPECT_LT(router, norm);
  EXPECT_EQ(text.find("shared_expert"), std::string::npos) << "roles it lacks are left out";
}

TEST_F(Inspect, ListsTensors) {
  const std::string text = inspect_text(open(tiny_moe()), true);
  EXPECT_NE(text.find("blk.1.ffn_up_exps.weight   expert         Q8_0      32 x 2 x 4"),
            std::string::npos)
      << text;
}

TEST_F(Inspect, JsonHoldsTheSameFacts) {
  const ModelIndex index = open(tiny_moe());
  const nlohmann::json object = nlohmann::json::parse(inspect_json(index, true));
  EXPECT_EQ(object["schema"], 1);
  EXPECT_EQ(object["architecture"], "tiny");
  EXPECT_EQ(object["expert_count"], 4);
  EXPECT_EQ(object["weight_bytes"], 2072);
  EXPECT_EQ(object["shards"][0]["bytes"], object["file_bytes"]);
  EXPECT_EQ(object["roles"][0]["role"], "embedding");
  ASSERT_EQ(object["tensors"].size(), index.tensors().size());
  EXPECT_EQ(object["tensors"][3]["expert_count"], 4);
  EXPECT_EQ(object["tensors"][3]["shape"], (std::vector<int>{32, 2, 4, 1}));
  EXPECT_EQ(nlohmann::json::parse(inspect_json(index, false)).count("tensors"), 0u);
}

TEST_F(Inspect, SurvivesNamesThatAreNotText) {
  GgufBytes file;
  file.text("general.architecture", "\xff\xfe").text("general.name", "\x1b[31mred\n\xc0");
  file.tensor({.name = "t\x80\x01", .ne = {8}, .bytes = 32});
  const ModelIndex index = open(file);
  EXPECT_TRUE(nlohmann::json::accept(inspect_json(index, true)));
  EXPECT_NE(inspect_text(index, true).find("name          ?[31mred?"), std::string::npos);
}

TEST_F(Inspect, ReportsWhatIsWrongWithTheFile) {
  const Status status = inspect({directory_.write("m.gguf", "not a model")});
  EXPECT_EQ(status.code(), StatusCode::invalid_model);
  EXPECT_NE(status.message().find("not a GGUF file"), std::string::npos);
}

}  // namespace
}  // namespace hypura::cli

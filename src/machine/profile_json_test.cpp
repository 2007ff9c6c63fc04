#include "machine/profile_json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hypura {
namespace {

MachineProfile full_profile() {
  MachineProfile profile;
  profile.name = "box";
  profile.source = "measured";
  profile.date = "2026-11-22T20:10:00Z";
  profile.cpu = "A \"quoted\" CPU \u00e9";
  profile.system = "Linux 6.18.44";
  profile.cores = 8;
  profile.logical_cores = 16;
  profile.simd = {"AVX2", "FMA"};
  profile.memory = {.total_bytes = 25'123'456'789, .limit_bytes = 7, .read_gbps = 21.375};
  profile.compute = {{.type = "q4_K", .threads = 2, .token_gbps = 0.1, .batch_gbps = 99.5,
                      .expert_gbps = 1e-3, .spread = 0.04}};
  profile.nodes = {{.threads = 2, .node_us = 0.7}};
  profile.graph_overhead_us = 12.25;
  profile.drive.device = "nvme0n1";
  profile.drive.filesystem = "ext4";
  profile.drive.direct = true;
  profile.drive.samples = {{.read_bytes = 1 << 20, .depth = 8, .sequential = true, .gbps = 2.4,
                            .spread = 0.02, .latency_us = 3300},
                           {.read_bytes = 1 << 16, .depth = 1, .gbps = 0.4}};
  profile.drive.sequential_gbps = 2.4;
  profile.drive.scattered_gbps = 2.1;
  profile.drive.knee_depth = 8;
  profile.drive.cached_gbps = 5;
  profile.drive.paged_gbps = 1.1;
  profile.drive.spread = 0.03;
  profile.gpus = {{.name = "G", .backend = "CUDA", .total_bytes = 80, .working_set_bytes = 79,
                   .memory_gbps = 3000, .upload_gbps = 50, .unified = true,
                   .compute = {{.type = "f16", .token_gbps = 2000}}}};
  profile.warnings = {"noisy"};
  return profile;
}

TEST(ProfileJson, SurvivesBeingWrittenAndRead) {
  const std::string text = profile_json(full_profile());
  const Result<MachineProfile> read = parse_profile(text);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  // Every key of the text came from a member, so equal texts are equal profiles ...
  EXPECT_EQ(profile_json(*read), text);
  // ... if no member was left out of it.
  EXPECT_EQ(read->cpu, full_profile().cpu);
  EXPECT_EQ(read->memory.total_bytes, 25'123'456'789u);
  EXPECT_EQ(read->memory.limit_bytes, 7u);
  EXPECT_EQ(read->compute.at(0).expert_gbps, 1e-3);
  EXPECT_EQ(read->compute.at(0).spread, 0.04);
  EXPECT_EQ(read->nodes.at(0).threads, 2);
  EXPECT_EQ(read->nodes.at(0).node_us, 0.7);
  EXPECT_TRUE(read->drive.samples.at(0).sequential);
  EXPECT_FALSE(read->drive.samples.at(1).sequential);
  EXPECT_EQ(read->drive.knee_depth, 8u);
  EXPECT_EQ(read->drive.paged_gbps, 1.1);
  EXPECT_TRUE(read->gpus.at(0).unified);
  EXPECT_EQ(read->gpus.at(0).compute.at(0).token_gbps, 2000);
  EXPECT_EQ(read->simd, full_profile().simd);
  EXPECT_EQ(read->warnings, full_profile().warnings);
}

TEST(ProfileJson, WhatIsMissingIsNotKnownAndWhatIsUnknownIsSkipped) {
  const Result<MachineProfile> read =
      parse_profile(R"({"schema": 1, "future": [{"x": 1}], "memory": null, "drive": {"y": 2}})");
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(read->cores, 0);
  EXPECT_EQ(read->drive.sequential_gbps, 0);
}

TEST(ProfileJson, AWholeNumberIsARateToo) {
  const Result<MachineProfile> read =
      parse_profile(R"({"schema": 1, "memory": {"read_gbps": 20}})");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->memory.read_gbps, 20);
}

TEST(ProfileJson, InvalidUtf8IsWrittenAsAReplacement) {
  MachineProfile profile;
  profile.cpu = "bad \xff byte";
  const Result<MachineProfile> read = parse_profile(profile_json(profile));
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(read->cpu, "bad \ufffd byte");
}

struct Hostile {
  std::string text;
  std::string why;  // a part of it
};

TEST(ProfileJson, RefusesWithWhatAndWhy) {
  const std::string list_of_many = [] {
    std::string list = "[\"\"";
    for (int i = 0; i < 1024; ++i) list += ",\"\"";
    return list + "]";
  }();
  const std::vector<Hostile> cases = {
      {"", "no JSON at line 1"},
      {"{\"schema\": 1,\n \"cores\": }", "no JSON at line 2, column 11"},
      {"[1]", "no JSON object"},
      {"{}", "no schema"},
      {R"({"schema": "1"})", "no schema"},
      {R"({"schema": 2})", "knows schema 1"},
      {R"({"schema": 1, "cores": -2})", "cores is negative: -2"},
      {R"({"schema": 1, "cores": 2.5})", "no whole number"},
      {R"({"schema": 1, "cores": 1e30})", "cores is 1e+30, more than any machine has (65536)"},
      {R"({"schema": 1, "cores": "2"})", "cores is no number"},
      {R"({"schema": 1, "cores": 18446744073709551616})", "more than any machine has"},
      {R"({"schema": 1, "memory": {"total_bytes": -1}})", "memory.total_bytes is negative"},
      {R"({"schema": 1, "memory": {"total_bytes": 18446744073709551615}})", "more than any"},
      {R"({"schema": 1, "memory": {"read_gbps": NaN}})", "no JSON at line 1"},
      {R"({"schema": 1, "memory": {"read_gbps": Infinity}})", "no JSON at line 1"},
      {R"({"schema": 1, "memory": {"read_gbps": 1e999}})", "too large for any machine"},
      {R"({"schema": 1, "memory": [1]})", "memory is no object"},
      {R"({"schema": 1, "drive": {"samples": {}}})", "drive.samples is no list"},
      {R"({"schema": 1, "drive": {"samples": [{}, {"gbps": 1e6}]}})", "drive.samples[1].gbps is"},
      {R"({"schema": 1, "drive": {"samples": [{"read_bytes": -4096}]}})", "read_bytes is negative"},
      {R"({"schema": 1, "drive": {"samples": [7]}})", "drive.samples[0] is no object"},
      {R"({"schema": 1, "drive": {"direct": 1}})", "drive.direct is neither true nor false"},
      {R"({"schema": 1, "cpu": 7})", "cpu is no text"},
      {R"({"schema": 1, "cpu": "\u001b[2J"})", "cpu has control characters"},
      {R"({"schema": 1, "warnings": ["a", "\n"]})", "warnings has control characters"},
      {"{\"schema\": 1, \"cpu\": \"" + std::string(4097, 'x') + "\"}", "cpu is longer than 4096"},
      {"{\"schema\": 1, \"cpu\": \"\xff\"}", "no JSON at line 1"},
      {R"({"schema": 1, "simd": )" + list_of_many + "}", "simd has 1025 elements"},
      {std::string(100'000, '['), "nested 100000 deep"},
      {"{\"schema\": 1, \"x\": " + std::string(17, '[') + std::string(17, ']') + "}",
       "nested 18 deep"},
      {std::string(kProfileBytesMax + 1, ' '), "more than 1048576 bytes"},
  };
  for (const Hostile& hostile : cases) {
    const Result<MachineProfile> read = parse_profile(hostile.text);
    ASSERT_FALSE(read.ok()) << hostile.text.substr(0, 200);
    EXPECT_NE(read.status().why().find(hostile.why), std::string::npos)
        << hostile.text.substr(0, 200) << "\n" << read.status().to_string();
    EXPECT_EQ(read.status().why().find('\n'), std::string::npos);
  }
}

TEST(ProfileJson, BracketsInTextsAreNotNested) {
  const std::string text = fmt::format(R"({{"schema": 1, "cpu": "\"{}"}})", std::string(99, '['));
  EXPECT_TRUE(parse_profile(text).ok());
}

TEST(ProfileJson, EveryTruncationIsRefused) {
  std::string text = profile_json(full_profile());
  text.pop_back();  // the line break after the object
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(parse_profile(text.substr(0, size)).ok()) << size;
  }
}

TEST(ProfileId, IsAllThatIsMeasuredButNotTheLimitOfTheDay) {
  MachineProfile profile;
  profile.drive.sequential_gbps = 2;
  const std::string id = profile_id(profile);
  EXPECT_EQ(id.size(), 16u);
  profile.memory.limit_bytes = 1 << 30;
  EXPECT_EQ(profile_id(profile), id);
  profile.drive.sequential_gbps = 2.1;
  EXPECT_NE(profile_id(profile), id);
}

}  // namespace
}  // namespace hypura

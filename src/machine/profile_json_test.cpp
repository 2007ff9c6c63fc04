#include "machine/profile_json.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

TEST(ProfileJson, ComesBackAsItWas) {
  MachineProfile profile{.name = "m", .source = "measured", .cores = 8, .simd = {"AVX2"}};
  profile.memory = {.total_bytes = 1ull << 40, .read_gbps = 12.5};
  profile.compute = {{.type = "q4_K", .threads = 2, .token_gbps = 1, .batch_gbps = 2}};
  profile.drive.samples = {{.read_bytes = 4096, .depth = 8, .sequential = true, .gbps = 1}};
  profile.gpus = {{.name = "g", .unified = true, .compute = profile.compute}};
  const std::string text = to_json(profile);
  const Result<MachineProfile> back = parse_machine_profile(text);
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(to_json(*back), text);
  EXPECT_EQ(back->drive.samples.at(0).depth, 8u);
  EXPECT_TRUE(back->gpus.at(0).unified);
}

TEST(ProfileJson, RefusesNonsense) {
  for (const char* text :
       {"", "{}", "[]", "{\"schema\": 2}", "{\"schema\": 1, \"cores\": -1}",
        "{\"schema\": 1, \"cores\": 1e300}", "{\"schema\": 1, \"cores\": \"8\"}",
        "{\"schema\": 1, \"memory\": {\"read_gbps\": NaN}}",
        "{\"schema\": 1, \"memory\": {\"read_gbps\": -1}}", "{\"schema\": 1, \"memory\": 7}",
        "{\"schema\": 1, \"compute\": {}}", "{\"schema\": 1, \"gpus\": [{\"unified\": 1}]}"}) {
    EXPECT_EQ(parse_machine_profile(text).status().code(), StatusCode::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace hypura

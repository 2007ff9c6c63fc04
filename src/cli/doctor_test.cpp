#include "cli/doctor.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/profile.h"

namespace hypura::cli {
namespace {

constexpr uint64_t kGb = 1'000'000'000;

DoctorPage page() {
  DoctorPage page;
  page.machine.cpu = "A CPU";
  page.machine.cores = 4;
  page.machine.memory = {.total_bytes = 16 * kGb, .read_gbps = 20};
  page.machine.compute = {{.type = "q4_K", .threads = 4, .token_gbps = 10, .expert_gbps = 10}};
  page.machine.drive.device = "nvme0n1";
  page.machine.drive.filesystem = "ext4";
  page.machine.drive.sequential_gbps = 2;
  page.machine.drive.scattered_gbps = 2;
  page.capacity_bytes = 8 * kGb;
  return page;
}

TEST(DoctorText, SaysWhatRunsAndThatNothingHinders) {
  const std::string text = doctor_text(page());
  EXPECT_NE(text.find("rule of thumb"), std::string::npos);
  EXPECT_NE(text.find("   8 GB  1.25 tok/s, in memory"), std::string::npos) << text;
  EXPECT_NE(text.find("  16 GB  0.25 tok/s, 50 % streamed"), std::string::npos) << text;
  EXPECT_NE(text.find("nothing hinders it"), std::string::npos);
  EXPECT_EQ(text.find("this model"), std::string::npos);
}

TEST(DoctorText, SaysWhatHindersWithItsFix) {
  DoctorPage sick = page();
  sick.model = ModelShape{.bytes = 16 * kGb, .active_share = 1};
  sick.findings = {{.severity = Severity::broken, .topic = "memory", .what = "gone", .fix = "buy"}};
  const std::string text = doctor_text(sick);
  EXPECT_NE(text.find("BROKEN memory: gone\n    try: buy\n"), std::string::npos) << text;
  EXPECT_NE(text.find("waits for the drive"), std::string::npos) << text;
  EXPECT_EQ(text.find("nothing hinders"), std::string::npos);
}

TEST(DoctorJson, WhatIsNotKnownIsNull) {
  DoctorPage unknown = page();
  unknown.machine.drive = {};
  const nlohmann::json json = nlohmann::json::parse(doctor_json(unknown));
  EXPECT_TRUE(json["can_run"].get<bool>());
  EXPECT_TRUE(json["drive_gbps"].is_null());
  EXPECT_TRUE(json["model"].is_null());
  EXPECT_TRUE(json["classes"].back()["dense"]["decode_tps"].is_null());
  EXPECT_EQ(json["classes"][0]["dense"]["decode_tps"], 5);
}

TEST(DoctorJson, BrokenMeansItCannotRun) {
  DoctorPage sick = page();
  sick.findings = {{.severity = Severity::broken, .topic = "memory", .what = "gone", .fix = "buy"}};
  const nlohmann::json json = nlohmann::json::parse(doctor_json(sick));
  EXPECT_FALSE(json["can_run"].get<bool>());
  EXPECT_EQ(json["findings"][0]["severity"], "broken");
}

TEST(ProfileText, HasATableOfEachKindAndTheDoubts) {
  MachineProfile profile = page().machine;
  profile.date = "2026-11-22T20:10:00Z";
  profile.drive.samples = {
      {.read_bytes = 1 << 20, .depth = 1, .sequential = true, .gbps = 0.5},
      {.read_bytes = 1 << 20, .depth = 8, .sequential = true, .gbps = 2},
      {.read_bytes = 64 << 10, .depth = 8, .sequential = true, .gbps = 0.3}};
  profile.warnings = {"noisy: so noisy"};
  profile.memory.limit_bytes = kGb;
  const std::string text = profile_text(profile);
  EXPECT_NE(text.find("             1.0 MiB      0.5       2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("              64 KiB        -     0.3\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("scattered, reads"), std::string::npos) << "none were measured";
  EXPECT_NE(text.find("q4_K             4          10          10           -"),
            std::string::npos) << text;
  EXPECT_NE(text.find("warning    noisy: so noisy\n"), std::string::npos);
  EXPECT_NE(text.find("limited to 953.7 MiB here"), std::string::npos) << text;
  EXPECT_NE(profile_text({}).find("not known"), std::string::npos);
}

}  // namespace
}  // namespace hypura::cli

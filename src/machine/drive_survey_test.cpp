#include "machine/drive_survey.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "base/units.h"
#include "io/test_support.h"

namespace hypura {
namespace {

DriveSample sample(uint32_t read_bytes, uint32_t depth, bool sequential, double gbps) {
  return {.read_bytes = read_bytes, .depth = depth, .sequential = sequential, .gbps = gbps};
}

TEST(FindKnee, IsTheLeastDepthNearTheBest) {
  DriveProfile drive;
  drive.samples = {sample(kMiB, 1, true, 0.9),      sample(kMiB, 4, true, 2.0),
                   sample(4 * kMiB, 4, true, 2.3),  sample(kMiB, 8, true, 2.4),
                   sample(kMiB, 4, false, 1.7),     sample(kMiB, 8, false, 2.0),
                   sample(64 * kKiB, 1, true, 9.0)};
  find_knee(drive);
  EXPECT_EQ(drive.knee_depth, 4u);
  EXPECT_EQ(drive.sequential_gbps, 2.3);
  EXPECT_EQ(drive.scattered_gbps, 1.7);
}

TEST(FindKnee, OfASmallFileSmallReadsCount) {
  DriveProfile drive;
  drive.samples = {sample(64 * kKiB, 1, true, 0.5), sample(64 * kKiB, 8, true, 1)};
  find_knee(drive);
  EXPECT_EQ(drive.knee_depth, 8u);
  EXPECT_EQ(drive.sequential_gbps, 1);
  EXPECT_EQ(drive.scattered_gbps, 0);
}

TEST(FindKnee, OfNothingIsNotKnown) {
  DriveProfile drive;
  find_knee(drive);
  EXPECT_EQ(drive.knee_depth, 0u);
  drive.samples = {sample(kMiB, 1, false, 1)};
  find_knee(drive);
  EXPECT_EQ(drive.sequential_gbps, 0);
}

TEST(SurveyDrive, MeasuresARealFileQuickly) {
  const TempFile file(24 * kMiB);
  const std::unique_ptr<BlockDevice> device = make_block_device({});
  const Result<FileId> id = device->open(file.path());
  ASSERT_TRUE(id.ok());
  AlignedBuffer memory(16 * kMiB);
  double shown = 0;
  const Result<DriveFindings> findings = survey_drive(
      *device, *id, {memory.data(), memory.size()},
      {.path = file.path(), .quick = true, .progress = [&](double share) {
         EXPECT_GE(share, shown);
         shown = share;
       }});
  ASSERT_TRUE(findings.ok()) << findings.status().to_string();
  EXPECT_EQ(shown, 1);
  const DriveProfile& drive = findings->drive;
  EXPECT_EQ(drive.direct, device->is_direct(*id));
  EXPECT_GT(drive.sequential_gbps, 0);
  EXPECT_GT(drive.knee_depth, 0u);
  ASSERT_FALSE(drive.samples.empty());
  for (const DriveSample& sample : drive.samples) {
    EXPECT_GT(sample.gbps, 0);
    EXPECT_GT(sample.latency_us, 0);
    EXPECT_LE(uint64_t{sample.read_bytes} * sample.depth, memory.size());
  }
  EXPECT_EQ(drive.paged_gbps, 0) << "quick leaves the page cache alone";
}

TEST(SurveyDrive, AFileThatShrinksMeanwhileIsAnError) {
  TempFile file(8 * kMiB);
  const std::unique_ptr<BlockDevice> device = make_block_device({});
  const Result<FileId> id = device->open(file.path());
  ASSERT_TRUE(id.ok());
  AlignedBuffer memory(16 * kMiB);
  const Result<DriveFindings> findings =
      survey_drive(*device, *id, {memory.data(), memory.size()},
                   {.path = file.path(), .quick = true, .progress = [&](double share) {
                      if (share > 0.3) file.truncate(4096);
                    }});
  ASSERT_FALSE(findings.ok());
  EXPECT_EQ(findings.status().code(), StatusCode::failed);
  EXPECT_NE(findings.status().to_string().find(file.path()), std::string::npos);
}

TEST(SurveyDrive, AFileOfNearlyNothingIsRefused) {
  const TempFile file(100);
  const std::unique_ptr<BlockDevice> device = make_block_device({});
  const Result<FileId> id = device->open(file.path());
  ASSERT_TRUE(id.ok());
  AlignedBuffer memory(kMiB);
  const Result<DriveFindings> findings =
      survey_drive(*device, *id, {memory.data(), memory.size()}, {.path = file.path()});
  ASSERT_FALSE(findings.ok());
  EXPECT_NE(findings.status().message().find("too small"), std::string::npos);
}

TEST(SurveyDrive, DrivesThatFailAreErrorsWhateverTheDraw) {
  const TempFile file(4 * kMiB);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const std::unique_ptr<BlockDevice> device =
        make_sim_device({.seed = seed, .faults = {.eio_permanent = 0.2}});
    const Result<FileId> id = device->open(file.path());
    ASSERT_TRUE(id.ok());
    AlignedBuffer memory(4 * kMiB);
    const Result<DriveFindings> findings = survey_drive(
        *device, *id, {memory.data(), memory.size()}, {.path = file.path(), .quick = true});
    EXPECT_FALSE(findings.ok()) << "seed " << seed;
    EXPECT_EQ(device->in_flight(), 0u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace hypura

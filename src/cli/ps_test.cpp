#include "cli/ps.h"

#include <gtest/gtest.h>

namespace hypura::cli {
namespace {

TEST(Ps, TellsWhereWeightsAre) {
  const auto table = ps_table(R"({"models":[
    {"name":"a","status":"ready","active":0,"expires_seconds":125.2,
     "state":{"gpu_bytes":0,"pinned_bytes":1048576,"cached_bytes":1048576,
              "streamed_bytes":4194304,"context":4096,"predicted_decode_tps":12.34}},
    {"name":"long-name","status":"loading","active":0,"expires_seconds":null,"state":null}]})");
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(*table,
            "NAME       STATUS   GPU  RAM      DRIVE    CONTEXT  PREDICTED   UNTIL\n"
            "a          ready    -    2.0 MiB  4.0 MiB  4096     12.3 tok/s  2 min\n"
            "long-name  loading  -    -        -        -        -           -\n");
}

TEST(Ps, OthersThatAnswerAreNoServer) {
  for (const char* text : {"", "<html>", "{}", R"({"models":[{}]})", "[]"}) {
    EXPECT_FALSE(ps_table(text).ok()) << text;
  }
}

}  // namespace
}  // namespace hypura::cli

#include "model/printable.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

TEST(Printable, KeepsTextAndReplacesControls) {
  EXPECT_EQ(printable("blk.0 gr\xc3\xbc\xc3\x9f"), "blk.0 gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(printable("a\x1b[2J\n\x7f"), "a?[2J??");
  EXPECT_EQ(printable("\xc2\x9b[2J"), "??[2J") << "CSI as one code point";
}

TEST(Printable, IsShort) { EXPECT_EQ(printable(std::string(1000, 'x')).size(), 259u); }

}  // namespace
}  // namespace hypura

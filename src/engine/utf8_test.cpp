#include "engine/utf8.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

TEST(Utf8Stream, WaitsForTheRestOfACharacter) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\xA6\x8A!";  // a é € fox !
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Utf8Stream stream;
    std::string out = stream.push(text.substr(0, cut));
    out += stream.push(text.substr(cut));
    EXPECT_EQ(out, text);
    EXPECT_EQ(stream.finish(), "");
  }
}

TEST(Utf8Stream, ReplacesWhatIsNoText) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(stream.push("\xC3("), "\xEF\xBF\xBD(");
  EXPECT_EQ(stream.push("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(stream.push("\xE2\x82"), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.finish(), "");
}

}  // namespace
}  // namespace hypura

#include "server/dashboard.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>

namespace hypura {
namespace {

std::set<std::string> matches(std::string_view text, const std::string& pattern) {
  const std::regex regex(pattern);
  const std::string copy(text);
  std::set<std::string> found;
  for (std::sregex_iterator match(copy.begin(), copy.end(), regex), end; match != end; ++match) {
    found.insert((*match)[1]);
  }
  return found;
}

TEST(Dashboard, ThePageIsThere) {
  const Asset* page = find_dashboard_asset("/");
  ASSERT_NE(page, nullptr);
  EXPECT_EQ(page->content_type, "text/html; charset=utf-8");
  EXPECT_TRUE(page->bytes.starts_with("<!doctype html>"));
  EXPECT_TRUE(page->bytes.ends_with("</html>\n"));
  EXPECT_EQ(find_dashboard_asset("/dashboard/"), nullptr);
  EXPECT_EQ(find_dashboard_asset(""), nullptr);
}

TEST(Dashboard, AssetsDiffer) {
  std::set<std::string_view> paths;
  std::set<std::string_view> etags;
  for (const Asset& asset : dashboard_assets()) {
    EXPECT_TRUE(paths.insert(asset.path).second) << asset.path;
    EXPECT_TRUE(etags.insert(asset.etag).second) << asset.path;
    EXPECT_FALSE(asset.bytes.empty()) << asset.path;
    EXPECT_TRUE(asset.path == "/" || asset.path.starts_with("/dashboard/")) << asset.path;
  }
}

TEST(Dashboard, WhatIsReferredToIsThereAndAllIsReferredTo) {
  std::set<std::string> wanted;
  for (const Asset& asset : dashboard_assets()) {
    if (asset.path.find("uplot") != std::string_view::npos) continue;
    wanted.merge(matches(asset.bytes, "(?:href|src)=\"([^\"#]+)\""));
    wanted.merge(matches(asset.bytes, "from \"([^\"]+)\""));
  }
  EXPECT_GT(wanted.size(), 8u);
  for (const std::string& path : wanted) EXPECT_NE(find_dashboard_asset(path), nullptr) << path;
  wanted.insert({"/", "/dashboard/uplot.LICENSE.txt"});
  for (const Asset& asset : dashboard_assets()) {
    EXPECT_TRUE(wanted.contains(std::string(asset.path))) << asset.path;
  }
}

// What the policy would refuse, and what would turn a model's text into a page.
TEST(Dashboard, NothingIsInline) {
  const std::string page(find_dashboard_asset("/")->bytes);
  EXPECT_FALSE(std::regex_search(page, std::regex("<style|\\sstyle=|\\son[a-z]+=|javascript:")));
  EXPECT_FALSE(std::regex_search(page, std::regex("<script[^>]*>[^<]")));
  for (const Asset& asset : dashboard_assets()) {
    if (asset.path.find("uplot") != std::string_view::npos) continue;
    for (const char* never :
         {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "url("}) {
      EXPECT_EQ(asset.bytes.find(never), std::string_view::npos) << asset.path << " has " << never;
    }
    EXPECT_EQ(matches(asset.bytes, "(https?://(?!www.w3.org/2000/svg)[^\"' ]*)").size(), 0u)
        << asset.path;
  }
}

TEST(Dashboard, BytesAreThoseOfTheFiles) {
  // Above 0x7f: a dash of the page, a minus sign of the plots.
  EXPECT_NE(find_dashboard_asset("/")->bytes.find("\xe2\x80\x93"), std::string_view::npos);
  EXPECT_NE(find_dashboard_asset("/dashboard/plots.js")->bytes.find("\xe2\x88\x92"),
            std::string_view::npos);
  EXPECT_NE(find_dashboard_asset("/dashboard/uplot.js")->bytes.find("var uPlot="),
            std::string_view::npos);
}

TEST(Dashboard, AnUnchangedAssetIsNotSentAgain) {
  const Asset& page = *find_dashboard_asset("/");
  const Asset& style = *find_dashboard_asset("/dashboard/style.css");
  const std::string own(page.etag);
  for (const std::string& header : {own, "W/" + own, "\"other\", " + own, std::string("*")}) {
    EXPECT_TRUE(is_unchanged(page, header)) << header;
  }
  EXPECT_FALSE(is_unchanged(page, ""));
  EXPECT_FALSE(is_unchanged(page, "\"other\""));
  EXPECT_FALSE(is_unchanged(style, own));
}

}  // namespace
}  // namespace hypura

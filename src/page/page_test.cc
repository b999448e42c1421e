#include "page/page.h"

#include <gtest/gtest.h>

namespace penstock::page {
namespace {

TEST(Page, EscapesWhatIsPlainTextAndNestsWhatItOpens) {
  Page page;
  page.Open("Load of <x>", "http://a/?b&c");
  page.Add("<dl>");
  page.AddTerm("a<b", "\"quoted\"");
  page.Add("</dl>");
  page.Close("1 < 2");
  const std::string html = page.Take();
  EXPECT_TRUE(html.starts_with("<!doctype html>"));
  EXPECT_TRUE(html.ends_with("<footer>1 &lt; 2</footer></main></body></html>\n"));
  EXPECT_NE(html.find("<title>Load of &lt;x&gt;</title>"), std::string::npos);
  EXPECT_NE(html.find("<p>http://a/?b&amp;c</p>"), std::string::npos);
  EXPECT_NE(html.find("<dt>a&lt;b</dt><dd>&quot;quoted&quot;</dd>"), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
}

}  // namespace
}  // namespace penstock::page

#include "bench/report/summary_json.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>

#include "bench/record/test_records.h"

namespace penstock::bench {
namespace {

TEST(SummaryJson, HoldsTheFiguresOfEveryLevel) {
  const RunSummary summary = Summarise(testing::MakeSweep({1, 2, 8}));
  const std::string text = RenderJson(summary);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  ASSERT_EQ(parser.parse(text).get(root), simdjson::SUCCESS) << text;
  EXPECT_EQ(bool(root["valid"]), summary.valid);
  EXPECT_EQ(std::int64_t(root["balanced"]), 8);
  EXPECT_EQ(std::int64_t(root["fastest"]), 1);
  ASSERT_EQ(root["levels"].get_array().size(), 3u);
  const auto level = root["levels"].at(2);
  EXPECT_EQ(std::int64_t(level["concurrency"]), 8);
  EXPECT_NEAR(double(level["ttft_ms"]["p90"]), summary.levels[2].ttft_ms.p90, 0.001);
  EXPECT_NEAR(double(level["in_steady"]["output_tokens_per_s"]),
              summary.levels[2].in_steady.output_tokens_per_s, 0.001);
  EXPECT_EQ(std::string_view(root["settings"]["model"]), "reference-8b");
  EXPECT_EQ(std::string_view(root["environment"]["build_type"]), "Release");
}

TEST(SummaryJson, ErrorsAndWarningsAreNamed) {
  RunRecords run = testing::MakeSweep({2});
  for (RequestRecord& request : run.requests) request.error = ErrorKind::kRateLimited;
  const std::string text = RenderJson(Summarise(run));
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  ASSERT_EQ(parser.parse(text).get(root), simdjson::SUCCESS) << text;
  EXPECT_FALSE(bool(root["valid"]));
  EXPECT_TRUE(root["highest"].is_null());
  const auto level = root["levels"].at(0);
  EXPECT_EQ(std::int64_t(level["errors"]["rate_limited"]), 12);
  EXPECT_EQ(std::string_view(level["warnings"].at(0)["name"]), "no_success");
}

}  // namespace
}  // namespace penstock::bench

#include "bench/report/report.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "bench/record/test_records.h"
#include "bench/report/report_parts.h"

namespace penstock::bench {
namespace {

std::string ReportOf(const RunRecords& run) { return RenderReport(Summarise(run)); }

TEST(Report, IsOnePageThatFetchesNothing) {
  const std::string page = ReportOf(testing::MakeSweep({1, 2, 4, 8, 16, 32}));
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  for (const std::string fetch : {"<script", "<link", "<img", "src=", "@import", "url("}) {
    EXPECT_EQ(page.find(fetch), std::string::npos) << fetch;
  }
  EXPECT_NE(page.find("@media print"), std::string::npos);
  EXPECT_NE(page.find("prefers-color-scheme: dark"), std::string::npos);
  // For eyes: PENSTOCK_REPORT_OUT=page.html keeps it.
  if (const char* path = std::getenv("PENSTOCK_REPORT_OUT")) std::ofstream(path) << page;
}

TEST(Report, AnswersFirstAndShowsEveryLevel) {
  const RunRecords run = testing::MakeSweep({1, 2, 4, 8, 16, 32});
  const std::string page = ReportOf(run);
  EXPECT_NE(page.find("output tokens per second</p>"), std::string::npos);
  for (const std::string part :
       {"Throughput against latency", "TTFT by load", "TPOT by load", "8 balanced", "All levels",
        "Settings and environment", "What the words mean", "Example CPU 3000"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
}

TEST(Report, IsOfWhatTheModelOrTheUrlNames) {
  RunHeader header;
  for (const auto& [url, model, name] : std::vector<std::array<std::string, 3>>{
           {"http://h/v1/chat/completions", "m", "m"},
           {"https://n.openai.azure.com/openai/deployments/ptu/chat/completions", "", "ptu"},
           {"https://h/serving-endpoints/mine/invocations", "", "mine"},
           {"https://h/serving-endpoints/chat/completions", "",
            "https://h/serving-endpoints/chat/completions"},
           {"http://h/v1/chat/completions", "", "http://h/v1/chat/completions"}}) {
    header.settings.url = url;
    header.settings.model = model;
    EXPECT_EQ(TargetText(header), name);
  }
}

TEST(Report, TheSameRecordsGiveTheSamePage) {
  const RunRecords run = testing::MakeSweep({1, 2});
  EXPECT_EQ(ReportOf(run), ReportOf(run));
}

TEST(Report, ForeignTextCannotBecomeMarkup) {
  RunRecords run = testing::MakeSweep({1, 2});
  const std::string attack = "<b>\"'&";
  run.header.settings.model = attack;
  run.header.settings.url = attack;
  run.header.settings.command = attack;
  run.header.settings.corpus = attack;
  run.header.started_at = attack;
  run.header.environment.host_cpu = attack;
  EXPECT_EQ(ReportOf(run).find("<b>"), std::string::npos);
}

TEST(Report, AFailedRunSaysSoAndDrawsNothing) {
  RunRecords run = testing::MakeSweep({2});
  for (RequestRecord& request : run.requests) request.error = ErrorKind::kConnect;
  const std::string page = ReportOf(run);
  EXPECT_NE(page.find("No request succeeded."), std::string::npos);
  EXPECT_NE(page.find("must not be used"), std::string::npos);
  EXPECT_EQ(page.find("<svg"), std::string::npos);
}

TEST(Report, RepliesInOnePieceHaveNoTokenTimes) {
  RunRecords run = testing::MakeSweep({1, 2});
  for (RequestRecord& request : run.requests) {
    request.streamed = false;
    request.chunks = 0;
    request.gaps_ns.clear();
    request.first_token_ns = request.first_answer_ns = request.last_token_ns = kNever;
  }
  run.header.settings.streamed = false;
  const std::string page = ReportOf(run);
  EXPECT_NE(page.find("<td>–</td>"), std::string::npos);
  EXPECT_NE(page.find("in one piece"), std::string::npos);
}

}  // namespace
}  // namespace penstock::bench

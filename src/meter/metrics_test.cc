#include "meter/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace penstock::meter {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TEST(Metrics, CountsRequestsByHowTheyEnded) {
  Metrics metrics("1.2.3");
  EndpointMetrics& endpoint = metrics.ForEndpoint("chat");
  endpoint.RequestStarted();
  endpoint.RequestStarted();
  endpoint.RequestEnded(RequestEnd::kDisconnected, milliseconds(30));
  const std::string text = metrics.Expose();
  EXPECT_THAT(text, HasSubstr("penstock_requests_total{end=\"disconnected\",endpoint=\"chat\"} 1"));
  EXPECT_THAT(text, HasSubstr("penstock_requests_running{endpoint=\"chat\"} 1"));
  EXPECT_THAT(text, HasSubstr("penstock_build_info{version=\"1.2.3\"} 1"));
}

TEST(Metrics, CountsTokensByKind) {
  Metrics metrics("0");
  EndpointMetrics& endpoint = metrics.ForEndpoint("chat");
  endpoint.TokensIn(100, 40);
  endpoint.TokensOut(7);
  const std::string text = metrics.Expose();
  EXPECT_THAT(text, HasSubstr("penstock_tokens_total{endpoint=\"chat\",kind=\"input\"} 100"));
  EXPECT_THAT(text, HasSubstr("penstock_tokens_total{endpoint=\"chat\",kind=\"cached\"} 40"));
  EXPECT_THAT(text, HasSubstr("penstock_tokens_total{endpoint=\"chat\",kind=\"output\"} 7"));
}

TEST(Metrics, OneEndpointHasOneSetOfCounters) {
  Metrics metrics("0");
  EXPECT_EQ(&metrics.ForEndpoint("a"), &metrics.ForEndpoint("a"));
  EXPECT_NE(&metrics.ForEndpoint("a"), &metrics.ForEndpoint("b"));
}

TEST(Metrics, WhatIsDeletedIsLeftOutOnceNothingOfItRuns) {
  Metrics metrics("0");
  EndpointMetrics& gone = metrics.ForEndpoint("gone");
  metrics.ForEndpoint("kept").TokensOut(1);
  gone.TokensOut(7);
  gone.RequestStarted();
  metrics.ShowOnly({"kept"});
  EXPECT_EQ(metrics.States().size(), 2u) << "a request of it runs";
  gone.RequestEnded(RequestEnd::kCompleted, milliseconds(1));
  EXPECT_EQ(metrics.States().size(), 1u);
  EXPECT_THAT(metrics.Expose(), testing::Not(HasSubstr("\"gone\"")));
  EXPECT_THAT(metrics.Expose(), HasSubstr("endpoint=\"kept\""));
  metrics.ShowOnly({"kept", "gone"});
  EXPECT_THAT(metrics.Expose(),
              HasSubstr("penstock_tokens_total{endpoint=\"gone\",kind=\"output\"} 7"));
}

TEST(Metrics, HistogramsAreSummedUp) {
  Metrics metrics("0");
  EndpointMetrics& endpoint = metrics.ForEndpoint("chat");
  for (const int ms : {5, 6, 300}) endpoint.FirstToken(milliseconds(ms), Operation::kChat);
  const std::string text = metrics.Expose();
  const std::string name = "penstock_time_to_first_token_seconds";
  EXPECT_THAT(text, HasSubstr(name + "_bucket{endpoint=\"chat\",le=\"0.005\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(name + "_bucket{endpoint=\"chat\",le=\"0.01\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(name + "_bucket{endpoint=\"chat\",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(name + "_sum{endpoint=\"chat\"} 0.311\n"));
  EXPECT_THAT(text, HasSubstr(name + "_count{endpoint=\"chat\"} 3\n"));
}

TEST(Metrics, OpenTelemetrysNamesAreByOperation) {
  Metrics metrics("0");
  EndpointMetrics& endpoint = metrics.ForEndpoint("chat");
  endpoint.RequestStarted();
  endpoint.RequestEnded(RequestEnd::kCompleted, milliseconds(30), Operation::kChat);
  const std::string text = metrics.Expose();
  EXPECT_THAT(text, HasSubstr("gen_ai_server_request_duration_seconds_count{"
                              "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"penstock\","
                              "gen_ai_request_model=\"chat\"} 1\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("text_completion")));
}

TEST(Metrics, LabelsAreEscaped) {
  Metrics metrics("0");
  metrics.ForEndpoint("a\"b\\c\nd").TokensOut(1);
  EXPECT_THAT(metrics.Expose(),
              HasSubstr(R"(penstock_tokens_total{endpoint="a\"b\\c\nd",kind="output"} 1)"));
}

TEST(Metrics, SourcesAreReadAtEachExposition) {
  Metrics metrics("0");
  double value = 1;
  metrics.AddSource({"penstock_things_total", "Things.", {{"kind", "x"}}, [&] { return value; }});
  EXPECT_THAT(metrics.Expose(), HasSubstr("penstock_things_total{kind=\"x\"} 1"));
  value = 2;
  EXPECT_THAT(metrics.Expose(), HasSubstr("# TYPE penstock_things_total counter"));
  EXPECT_THAT(metrics.Expose(), HasSubstr("penstock_things_total{kind=\"x\"} 2"));
}

TEST(Metrics, ThreadsMayCountTogether) {
  Metrics metrics("0");
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) metrics.ForEndpoint("shared").TokensOut(1);
    });
  }
  threads.clear();
  EXPECT_THAT(metrics.Expose(), HasSubstr("kind=\"output\"} 4000"));
}

}  // namespace
}  // namespace penstock::meter

#include "plan/ptu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace penstock::plan {
namespace {

using testing::HasSubstr;

PtuEstimate Estimate(const char* model, const Workload& workload, bool regional = false) {
  const PtuModel row = BuiltInPtuTable().Find(model).value();
  return EstimatePtus(Sum(std::array{workload}), row, regional ? *row.regional : *row.global);
}

// Microsoft, "Performance and latency", the table for gpt-4o-mini.
TEST(Ptu, GivesThePublishedExamplesExactly) {
  struct Row {
    double input, output, requests, input_tpm, output_tpm, total_tpm;
    std::int64_t units;
  };
  constexpr std::array<Row, 3> kRows = {{{800, 150, 30, 24'000, 4'500, 28'500, 15},
                                         {5000, 50, 1000, 5'000'000, 50'000, 5'050'000, 140},
                                         {1000, 300, 500, 500'000, 150'000, 650'000, 30}}};
  for (const Row& row : kRows) {
    const PtuEstimate estimate = Estimate("gpt-4o-mini", {.requests_per_minute = row.requests,
                                                          .input_tokens = row.input,
                                                          .output_tokens = row.output});
    EXPECT_EQ(estimate.tokens.input, row.input_tpm);
    EXPECT_EQ(estimate.tokens.output, row.output_tpm);
    EXPECT_EQ(estimate.tokens.total(), row.total_tpm);
    EXPECT_EQ(estimate.units, row.units);
  }
}

// The worked example of "Provisioned throughput: sizing": 105.88 raw, 110 global, 150 regional;
// with half of the prompt cached 76.47, 80 and 100.
TEST(Ptu, GivesTheWorkedExampleOfSizing) {
  Workload workload{.requests_per_minute = 1000, .input_tokens = 200, .output_tokens = 20};
  EXPECT_NEAR(Estimate("gpt-5.2", workload).raw, 105.88, 0.005);
  EXPECT_EQ(Estimate("gpt-5.2", workload).units, 110);
  EXPECT_EQ(Estimate("GPT-5.2", workload, true).units, 150);
  workload.cache_rate = 0.5;
  EXPECT_NEAR(Estimate("gpt-5.2", workload).raw, 76.47, 0.005);
  EXPECT_EQ(Estimate("gpt-5.2", workload).units, 80);
  EXPECT_EQ(Estimate("gpt-5.2", workload, true).units, 100);
}

TEST(Ptu, ARatioThatIsNotPublishedIsNamedSo) {
  for (const char* name : {"gpt-oss-120b", "DeepSeek-R1-0528"}) {
    const auto model = BuiltInPtuTable().Find(name);
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, Code::kUnsupported);
    EXPECT_THAT(model.error().message, HasSubstr("not published"));
  }
}

// "Manage quota": 1,000 TPM and 6 RPM a unit, but for the o-series.
TEST(Ptu, KnowsTheUnitsOfStandardDeployments) {
  const auto unit = [](const char* name) { return BuiltInPtuTable().Find(name)->quota_unit; };
  EXPECT_EQ(unit("gpt-4o-mini").tokens_per_minute, 1000);
  EXPECT_EQ(unit("gpt-4o-mini").requests_per_minute, 6);
  EXPECT_EQ(unit("o1").tokens_per_minute, 6000);
  EXPECT_EQ(unit("o1").requests_per_minute, 1);
  EXPECT_EQ(unit("o3-mini").tokens_per_minute, 10'000);
}

// A unit of ours is a chunk: the reference workload at the chunk's rate takes exactly one.
TEST(Ptu, AModelOfOursIsSoldByTheChunk) {
  const policy::ReplicaCapacity capacity{
      .cost_per_s = 10'000, .chunk_tokens_per_s = 980, .weights = {.output = 3.7}};
  const PtuModel model = PtuModelOf("main.default.m", capacity);
  const double requests_per_minute = 60.0 * 980 / 2304;
  const Workload workload{
      .requests_per_minute = requests_per_minute, .input_tokens = 2048, .output_tokens = 256};
  const PtuEstimate one = EstimatePtus(Sum(std::array{workload}), model, *model.regional);
  EXPECT_NEAR(one.raw, 1, 1e-9);
  const Workload thrice{
      .requests_per_minute = 2.5 * requests_per_minute, .input_tokens = 2048, .output_tokens = 256};
  EXPECT_EQ(EstimatePtus(Sum(std::array{thrice}), model, *model.global).units, 3);
}

TEST(Ptu, AWholeStepIsNotRoundedToTheNext) {
  const PtuModel model{.name = "m", .input_tpm_per_ptu = 0.1, .output_ratio = 1};
  EXPECT_EQ(EstimatePtus({.input = 3}, model, {.minimum = 1, .increment = 5}).units, 30);
  EXPECT_EQ(EstimatePtus({.input = 3.001}, model, {.minimum = 1, .increment = 5}).units, 35);
}

TEST(Ptu, RoundsToTheNearestStepWhereTheTableSaysSo) {
  PtuModel model{
      .name = "m", .input_tpm_per_ptu = 1, .output_ratio = 4, .rounding = Rounding::kNearest};
  EXPECT_EQ(EstimatePtus({.input = 12.4}, model, {.minimum = 5, .increment = 5}).units, 10);
  EXPECT_EQ(EstimatePtus({.input = 12.6}, model, {.minimum = 5, .increment = 5}).units, 15);
}

TEST(Ptu, SeveralWorkloadsAddUp) {
  const std::array<Workload, 2> workloads = {
      {{.requests_per_minute = 10, .input_tokens = 100, .output_tokens = 10, .cache_rate = 0.5},
       {.requests_per_minute = 5, .input_tokens = 20, .output_tokens = 30}}};
  const TokensPerMinute sum = Sum(workloads);
  EXPECT_EQ(sum.requests, 15);
  EXPECT_EQ(sum.input, 1100);
  EXPECT_EQ(sum.cached, 500);
  EXPECT_EQ(sum.output, 250);
}

TEST(Ptu, AnUnknownModelIsAnsweredWithTheNearest) {
  const auto found = BuiltInPtuTable().Find("gpt-4o-minny");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kNotFound);
  EXPECT_THAT(found.error().message, HasSubstr("'gpt-4o-minny'"));
  EXPECT_THAT(found.error().message, HasSubstr("gpt-4o-mini"));
}

TEST(Ptu, ABadTableIsRefusedWithRowAndField) {
  const auto message = [](const char* yaml) {
    const auto table = ParsePtuTable(yaml);
    return table ? std::string("accepted") : table.error().message;
  };
  EXPECT_THAT(message("models: ["), HasSubstr("not YAML"));
  EXPECT_THAT(message("- 1"), HasSubstr("no list 'models'"));
  EXPECT_THAT(message("models: [3]"), HasSubstr("models[0]"));
  EXPECT_THAT(message("models: [{name: a, output_ratio: 3, rounding: up, global: [1, 1]}]"),
              HasSubstr("models[0] (a): 'input_tpm_per_ptu' is missing"));
  EXPECT_THAT(message("models: [{name: a, input_tpm_per_ptu: -1, output_ratio: 3, rounding: up}]"),
              HasSubstr("'-1'"));
  EXPECT_THAT(message("models: [{name: a, input_tpm_per_ptu: 1, output_ratio: 3, rounding: down}]"),
              HasSubstr("one of up, nearest"));
  EXPECT_THAT(message("models: [{name: a, input_tpm_per_ptu: 1, output_ratio: 3, rounding: up}]"),
              HasSubstr("cannot be bought"));
  EXPECT_THAT(message("models: [{name: a, input_tpm_per_ptu: 1, output_ratio: 3, rounding: up, "
                      "global: [0, 5]}]"),
              HasSubstr("'global' must be"));
}

TEST(Workload, ImpossibleFiguresAreRefusedByName) {
  const auto field = [](const Workload& workload) {
    const Status checked = CheckWorkload(workload);
    return checked ? std::string() : checked.error().field;
  };
  EXPECT_EQ(field({.requests_per_minute = 1}), "");
  EXPECT_EQ(field({.requests_per_minute = -1}), "requests_per_minute");
  EXPECT_EQ(field({.input_tokens = 1e300}), "input_tokens");
  EXPECT_EQ(field({.output_tokens = std::numeric_limits<double>::quiet_NaN()}), "output_tokens");
  EXPECT_EQ(field({.cache_rate = 1.01}), "cache_rate");
}

}  // namespace
}  // namespace penstock::plan

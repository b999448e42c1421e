#include "convert/model_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "convert/test_model.h"

namespace penstock::convert {
namespace {

void ExpectRefused(const boost::json::object& json, Code code, const std::string& words) {
  const auto config = ParseModelConfig(json);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, code);
  EXPECT_NE(config.error().message.find(words), std::string::npos) << config.error().message;
}

TEST(ModelConfig, ReadsALlama) {
  const auto config = ParseModelConfig(TestModel().config);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->family, Family::kLlama);
  EXPECT_EQ(config->head_size, 4U);
  EXPECT_EQ(config->heads_kv, 1U);
  EXPECT_TRUE(RopeFactors(*config).empty());
}

TEST(ModelConfig, NamesWhatIsWrong) {
  auto json = TestModel().config;
  json["architectures"] = boost::json::array{"DbrxForCausalLM"};
  ExpectRefused(json, Code::kUnsupported, "DbrxForCausalLM");
  json["architectures"] = boost::json::array{"NewModel"};
  ExpectRefused(json, Code::kUnsupported, "external model");
  json = TestModel().config;
  json.erase("hidden_size");
  ExpectRefused(json, Code::kCorrupt, "hidden_size is missing");
  json = TestModel().config;
  json["num_hidden_layers"] = 0;
  ExpectRefused(json, Code::kCorrupt, "num_hidden_layers is 0");
  json = TestModel().config;
  json["num_attention_heads"] = 3;
  ExpectRefused(json, Code::kCorrupt, "no multiple of 3 heads");
  json = TestModel().config;
  json["num_key_value_heads"] = 4;
  ExpectRefused(json, Code::kCorrupt, "cannot share");
  json = TestModel().config;
  json["quantization_config"] = {{"quant_method", "gptq"}};
  ExpectRefused(json, Code::kUnsupported, "quantised already");
  json = TestModel().config;
  json["rope_scaling"] = {{"rope_type", "longrope"}};
  ExpectRefused(json, Code::kUnsupported, "longrope");
}

// XLM-R's first positions stand for the padding token and what is before it.
TEST(ModelConfig, OfXlmRoberta) {
  auto json = TestModel().config;
  json["architectures"] = boost::json::array{"XLMRobertaModel"};
  json["pad_token_id"] = 1;
  json["layer_norm_eps"] = 1e-5;
  const auto config = ParseModelConfig(json);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->encoder());
  EXPECT_EQ(config->first_position, 2U);
  EXPECT_EQ(config->context_length, 62U);
  json["pad_token_id"] = 63;
  ExpectRefused(json, Code::kCorrupt, "pad_token_id 63 leaves none of 64 positions");
}

// Llama 3.1's published factors: no change for fast waves, a division by 8 for slow ones.
TEST(ModelConfig, RopeFactorsOfLlama3) {
  auto json = TestModel().config;
  json["hidden_size"] = 256;
  json["rope_theta"] = 500000.0;
  json["rope_scaling"] = {{"rope_type", "llama3"},
                          {"factor", 8.0},
                          {"low_freq_factor", 1.0},
                          {"high_freq_factor", 4.0},
                          {"original_max_position_embeddings", 8192}};
  const auto config = ParseModelConfig(json);
  ASSERT_TRUE(config) << config.error().message;
  const auto factors = RopeFactors(*config);
  ASSERT_EQ(factors.size(), 64U);
  EXPECT_FLOAT_EQ(factors.front(), 1);
  EXPECT_FLOAT_EQ(factors.back(), 8);
  for (std::size_t i = 1; i < factors.size(); ++i) EXPECT_GE(factors[i], factors[i - 1]);
  // Somewhere between, by the published formula.
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const double wave = 2 * std::numbers::pi * std::pow(500000.0, double(2 * i) / 128);
    if (wave < 2048 || wave > 8192) continue;
    const double smooth = (8192 / wave - 1) / 3;
    EXPECT_NEAR(1 / factors[i], (1 - smooth) / 8 + smooth, 1e-6);
  }
}

}  // namespace
}  // namespace penstock::convert

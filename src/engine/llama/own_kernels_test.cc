#include "engine/llama/own_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "engine/llama/backend.h"
#include "engine/llama/context.h"
#include "engine/llama/model.h"
#include "engine/llama/q8_matmul.h"
#include "engine/llama/synth.h"

namespace penstock::engine {
namespace {

class OwnKernelsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SynthSpec spec = SynthPreset("toy").value();
    spec.quantization = Quantization::kQ8_0;
    const std::filesystem::path folder =
        std::filesystem::path(testing::TempDir()) / "own_kernels_test";
    std::filesystem::create_directories(folder);
    const std::string path = (folder / "toy-q8.gguf").string();
    ASSERT_TRUE(SynthesizeModel(spec, path).has_value());
    ASSERT_TRUE(StartBackend().has_value());
    model_ = Model::Load(path, 0).value();
  }
  void TearDown() override { UseOwnKernels(true); }

  // Logits behind a prompt of so many tokens.
  std::vector<float> LogitsBehind(int tokens, FlashAttention attention) {
    auto context = Context::Create(
        *model_, {.sequences = 2, .tokens_per_sequence = 256, .flash_attention = attention});
    EXPECT_TRUE(context.has_value());
    std::vector<TokenId> prompt;
    for (int i = 0; i < tokens; ++i) prompt.push_back(1 + i * 37 % 200);
    const SequencePart part{0, 0, prompt, true};
    EXPECT_TRUE((*context)->Decode({&part, 1}).has_value());
    const std::span<const float> logits = (*context)->Logits(0);
    return {logits.begin(), logits.end()};
  }

  std::unique_ptr<Model> model_;
};

void ExpectNear(const std::vector<float>& ours, const std::vector<float>& theirs) {
  ASSERT_EQ(ours.size(), theirs.size());
  double squares = 0;
  double differences = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    squares += static_cast<double>(theirs[i]) * theirs[i];
    differences += std::pow(static_cast<double>(ours[i]) - theirs[i], 2);
  }
  EXPECT_GT(squares, 0);
  EXPECT_LT(std::sqrt(differences / squares), 0.02);
}

TEST_F(OwnKernelsTest, AreCalledAndAgreeWithTheOthers) {
  if (!UseOwnKernels(true)) GTEST_SKIP() << "not for this processor, or not for this llama.cpp";
  for (const int tokens : {1, 2, 5, 33, 200}) {
    for (const FlashAttention attention : {FlashAttention::kOff, FlashAttention::kOn}) {
      ASSERT_TRUE(UseOwnKernels(true));
      const OwnKernelUse before = OwnKernelCalls();
      const std::vector<float> ours = LogitsBehind(tokens, attention);
      const OwnKernelUse after = OwnKernelCalls();
      EXPECT_GT(after.products, before.products) << "the backend does not call them";
      EXPECT_EQ(after.attentions > before.attentions, attention == FlashAttention::kOn);
      ASSERT_FALSE(UseOwnKernels(false));
      const std::vector<float> theirs = LogitsBehind(tokens, attention);
      EXPECT_EQ(OwnKernelCalls().products, after.products) << "they are called though not wanted";
      EXPECT_EQ(OwnKernelCalls().attentions, after.attentions);
      ExpectNear(ours, theirs);
    }
  }
}

TEST_F(OwnKernelsTest, AreUsedWhereTheProcessorHasTheInstructions) {
#if defined(__x86_64__)
  if (std::string(LlamaVersion()).ends_with("(installed)")) GTEST_SKIP() << "another llama.cpp";
  EXPECT_EQ(UseOwnKernels(true), CanMultiplyQ8());
#endif
}

}  // namespace
}  // namespace penstock::engine

#include "engine/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <numeric>
#include <set>

#include "base/random.h"
#include "engine/llama/synth.h"

namespace penstock::engine {
namespace {

namespace fs = std::filesystem;

// What became of one request.
struct Answer {
  std::string text;
  int tokens = 0;
  int events = 0;
  Event last;
};

// Receives events on the model's thread; tests wait for a request's end.
class Receiver {
 public:
  EventSink Sink() {
    return [this](std::vector<Event> events) { Take(std::move(events)); };
  }
  Answer WaitFor(RequestId id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_.contains(id); });
    return answers_[id];
  }
  void WaitForFirstEvent(RequestId id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return answers_.contains(id); });
  }
  bool Ended(RequestId id) {
    const std::lock_guard lock(mutex_);
    return ended_.contains(id);
  }

 private:
  void Take(std::vector<Event> events) {
    const std::lock_guard lock(mutex_);
    for (Event& event : events) {
      Answer& answer = answers_[event.id];
      answer.text += event.text;
      answer.tokens += event.tokens;
      ++answer.events;
      if (event.end != Event::End::kNone) EXPECT_TRUE(ended_.insert(event.id).second);
      answer.last = std::move(event);
    }
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RequestId, Answer> answers_;
  std::set<RequestId> ended_;
};

std::string ModelPath(const char* name, const SynthSpec& spec) {
  const fs::path folder = fs::path(testing::TempDir()) / "engine_test";
  fs::create_directories(folder);
  const std::string path = (folder / name).string();
  const auto report = SynthesizeModel(spec, path);
  EXPECT_TRUE(report.has_value()) << report.error().message;
  return path;
}

std::string ToyPath() {
  static const std::string path = ModelPath("toy.gguf", SynthPreset("toy").value());
  return path;
}

EngineOptions ToyOptions() {
  return {.model_path = ToyPath(),
          .parallel = 4,
          .context_tokens = 512,
          .queued_max = 64,
          .threads = 1,
          .seed = 1};
}

GenerationRequest Prompt(const Engine& engine, std::string_view text, int output_tokens_max) {
  GenerationRequest request;
  request.prompt = engine.model().tokenizer().Tokenize(text, {}).value();
  request.output_tokens_max = output_tokens_max;
  request.ignore_end_of_generation = true;
  request.sampling.seed = 7;
  return request;
}

class EngineTest : public testing::Test {
 protected:
  void Start(EngineOptions options) {
    auto engine = Engine::Start(std::move(options), receiver_.Sink());
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    engine_ = std::move(*engine);
  }
  Receiver receiver_;  // Outlives the engine.
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, GeneratesExactlyWhatWasAskedFor) {
  Start(ToyOptions());
  const auto id = engine_->Submit(Prompt(*engine_, "hello", 20));
  ASSERT_TRUE(id.has_value()) << id.error().message;
  const Answer answer = receiver_.WaitFor(*id);
  EXPECT_EQ(answer.last.end, Event::End::kFinished);
  EXPECT_EQ(answer.last.finish_reason, FinishReason::kLength);
  EXPECT_EQ(answer.tokens, 20);
  EXPECT_EQ(answer.last.usage.completion_tokens, 20);
  EXPECT_EQ(answer.last.usage.prompt_tokens, 6);  // Five bytes and the beginning of the text.
  EXPECT_GE(answer.last.usage.queue.count(), 0);
  EXPECT_GT(answer.last.usage.prefill.count(), 0);
  EXPECT_GT(answer.last.usage.decode.count(), 0);
}

TEST_F(EngineTest, ManyRequestsOfManyLengthsAllEnd) {
  EngineOptions options = ToyOptions();
  options.step_tokens_max = 32;  // Prompts are cut into chunks.
  Start(options);
  Random random(5);
  std::vector<std::pair<RequestId, int>> sent;
  for (int i = 0; i < 40; ++i) {
    const int tokens = 1 + static_cast<int>(random.Below(30));
    const auto id =
        engine_->Submit(Prompt(*engine_, std::string(1 + random.Below(200), 'x'), tokens));
    ASSERT_TRUE(id.has_value()) << id.error().message;
    sent.emplace_back(*id, tokens);
  }
  for (const auto& [id, tokens] : sent) {
    const Answer answer = receiver_.WaitFor(id);
    EXPECT_EQ(answer.last.end, Event::End::kFinished) << answer.last.error.message;
    EXPECT_EQ(answer.tokens, tokens);
  }
  const EngineMetrics metrics = engine_->Metrics();
  EXPECT_EQ(metrics.requests_finished, 40u);
  EXPECT_EQ(metrics.running, 0);
  EXPECT_EQ(metrics.queued, 0);
  EXPECT_EQ(metrics.cells_used, 0);
  EXPECT_GT(metrics.steps, 30u);
}

TEST_F(EngineTest, WhatNeighboursDoDoesNotChangeAGreedyText) {
  EngineOptions options = ToyOptions();
  Start(options);
  GenerationRequest request = Prompt(*engine_, "the same prompt", 24);
  request.sampling.temperature = 0;
  const auto alone = engine_->Submit(request);
  ASSERT_TRUE(alone.has_value());
  const std::string expected = receiver_.WaitFor(*alone).text;
  std::vector<RequestId> same;
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(engine_->Submit(Prompt(*engine_, std::string(7 * i + 1, 'a'), 3 * i + 1)));
    same.push_back(engine_->Submit(request).value());
  }
  for (const RequestId id : same) EXPECT_EQ(receiver_.WaitFor(id).text, expected);
}

TEST_F(EngineTest, CancelFreesTheSlotAtOnce) {
  EngineOptions options = ToyOptions();
  options.parallel = 1;
  options.queued_max = 1;
  Start(options);
  const auto endless = engine_->Submit(Prompt(*engine_, "a", 400));
  ASSERT_TRUE(endless.has_value());
  const auto waiting = engine_->Submit(Prompt(*engine_, "b", 2));
  ASSERT_TRUE(waiting.has_value());
  receiver_.WaitForFirstEvent(*endless);
  engine_->Cancel(*endless);
  EXPECT_EQ(receiver_.WaitFor(*waiting).tokens, 2);
  EXPECT_FALSE(receiver_.Ended(*endless));
  EXPECT_EQ(engine_->Metrics().requests_cancelled, 1u);
  engine_->Cancel(*endless);  // Once more, and an unknown one: nothing happens.
  engine_->Cancel(12345);
  EXPECT_EQ(engine_->Metrics().requests_cancelled, 1u);
}

TEST_F(EngineTest, RefusesWhenAllPlacesAreTaken) {
  EngineOptions options = ToyOptions();
  options.parallel = 1;
  options.queued_max = 0;
  Start(options);
  const auto first = engine_->Submit(Prompt(*engine_, "a", 400));
  ASSERT_TRUE(first.has_value());
  const auto second = engine_->Submit(Prompt(*engine_, "b", 2));
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::kUnavailable);
  EXPECT_NE(second.error().message.find("1 requests run and 0 may wait"), std::string::npos);
  EXPECT_EQ(engine_->Metrics().requests_refused, 1u);
}

TEST_F(EngineTest, RefusesAPromptThatIsTooLongNamingBoth) {
  Start(ToyOptions());
  const auto refused = engine_->Submit(Prompt(*engine_, std::string(600, 'x'), 5));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("601 tokens; the context holds 512"), std::string::npos)
      << refused.error().message;
  GenerationRequest foreign;
  foreign.prompt = {1, 999};
  EXPECT_FALSE(engine_->Submit(foreign).has_value());
  EXPECT_EQ(engine_->Embed({1}).error().code, Code::kInvalidArgument);
}

TEST_F(EngineTest, StopsAtAStopStringThatItWouldWrite) {
  Start(ToyOptions());
  GenerationRequest request = Prompt(*engine_, "hello", 100);
  const Answer free = receiver_.WaitFor(engine_->Submit(request).value());
  ASSERT_GT(free.text.size(), 20u);
  // A stop string out of the middle of what the same seed writes, over the borders of its tokens:
  // each token is one byte here.
  std::size_t at = free.text.size() / 2;
  while ((free.text[at] & 0xC0) == 0x80) ++at;
  std::string stop = free.text.substr(at, 6);
  request.stops = {stop};
  const Answer stopped = receiver_.WaitFor(engine_->Submit(request).value());
  if (stop.find("\xEF\xBF\xBD") == std::string::npos) {
    EXPECT_EQ(stopped.last.finish_reason, FinishReason::kStop);
    EXPECT_EQ(stopped.text, free.text.substr(0, free.text.find(stop)));
  }
}

TEST_F(EngineTest, EndsAtTheEndTokenUnlessToldOtherwise) {
  Start(ToyOptions());
  GenerationRequest request = Prompt(*engine_, "hello", 50);
  request.ignore_end_of_generation = false;
  request.sampling.logit_bias = {{2, 100.0F}};  // The end of the text.
  const Answer ended = receiver_.WaitFor(engine_->Submit(request).value());
  EXPECT_EQ(ended.last.finish_reason, FinishReason::kStop);
  EXPECT_EQ(ended.tokens, 1);
  EXPECT_EQ(ended.text, "");
  request.output_tokens_min = 10;
  EXPECT_EQ(receiver_.WaitFor(engine_->Submit(request).value()).tokens, 11);
  request.ignore_end_of_generation = true;
  EXPECT_EQ(receiver_.WaitFor(engine_->Submit(request).value()).tokens, 50);
}

TEST_F(EngineTest, AppliesTheModelsChatTemplate) {
  Start(ToyOptions());
  const auto prompt = engine_->chat_template().Apply(
      {.messages = {{.role = "system", .content = "be brief"}, {.role = "user", .content = "hi"}}});
  ASSERT_TRUE(prompt.has_value()) << prompt.error().message;
  EXPECT_EQ(prompt->text,
            "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
            "<|im_start|>assistant\n");
}

TEST_F(EngineTest, EmbedsTextsToUnitVectors) {
  SynthSpec spec = SynthPreset("toy").value();
  spec.architecture = "bert";
  spec.heads_kv = spec.heads;
  spec.context_length = 128;
  spec.vocabulary = "bert-bge";
  EngineOptions options = ToyOptions();
  options.model_path = ModelPath("bert.gguf", spec);
  options.context_tokens = 0;
  Start(options);
  std::vector<RequestId> ids;
  for (const char* text : {"a gate", "a river of water", "a gate", "one two three four five six"}) {
    const auto id = engine_->Embed(engine_->model().tokenizer().Tokenize(text, {}).value());
    ASSERT_TRUE(id.has_value()) << id.error().message;
    ids.push_back(*id);
  }
  std::vector<std::vector<float>> vectors;
  for (const RequestId id : ids) {
    const Answer answer = receiver_.WaitFor(id);
    ASSERT_EQ(answer.last.end, Event::End::kEmbedded) << answer.last.error.message;
    const std::vector<float>& v = answer.last.embedding.values;
    ASSERT_EQ(v.size(), 64u);
    EXPECT_NEAR(std::inner_product(v.begin(), v.end(), v.begin(), 0.0), 1, 1e-4);
    EXPECT_GE(answer.last.embedding.prompt_tokens, 4);
    vectors.push_back(v);
  }
  const auto likeness = [&](int a, int b) {
    return std::inner_product(vectors[a].begin(), vectors[a].end(), vectors[b].begin(), 0.0);
  };
  EXPECT_NEAR(likeness(0, 2), 1, 1e-3);
  EXPECT_LT(likeness(0, 1), 0.999);
  EXPECT_EQ(engine_->Submit({.prompt = {1}, .output_tokens_max = 1}).error().code,
            Code::kInvalidArgument);
  const auto long_text = engine_->Embed(std::vector<TokenId>(129, 5));
  ASSERT_FALSE(long_text.has_value());
  EXPECT_NE(long_text.error().message.find("129 tokens"), std::string::npos);
}

TEST_F(EngineTest, LeavesTheVectorsOfGteAsTheyAre) {
  SynthSpec spec = SynthPreset("toy").value();
  spec.name = "gte-large-en-v1.5";
  spec.architecture = "bert";
  spec.heads_kv = spec.heads;
  spec.context_length = 128;
  spec.vocabulary = "bert-bge";
  EngineOptions options = ToyOptions();
  options.model_path = ModelPath("gte.gguf", spec);
  options.context_tokens = 0;
  Start(options);
  const auto id = engine_->Embed(engine_->model().tokenizer().Tokenize("a gate", {}).value());
  const std::vector<float> v = receiver_.WaitFor(id.value()).last.embedding.values;
  ASSERT_EQ(v.size(), 64u);
  EXPECT_GT(std::abs(std::inner_product(v.begin(), v.end(), v.begin(), 0.0) - 1), 0.1);
}

TEST_F(EngineTest, WritesWhatTheGrammarSays) {
  Start(ToyOptions());
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    GenerationRequest request = Prompt(*engine_, "hello", 100);
    request.sampling.seed = seed;
    request.grammar.rules = "root ::= \"<\" [a-d]{3,9} \">\"";
    // Neither keeps it from ending where the grammar does.
    request.ignore_end_of_generation = seed % 2 == 0;
    request.output_tokens_min = seed % 3 == 0 ? 90 : 0;
    const Answer answer = receiver_.WaitFor(engine_->Submit(request).value());
    EXPECT_EQ(answer.last.finish_reason, FinishReason::kStop);
    EXPECT_GE(answer.text.size(), 5U);
    EXPECT_LE(answer.text.size(), 11U);
    EXPECT_EQ(answer.text.front(), '<');
    EXPECT_EQ(answer.text.back(), '>');
    EXPECT_EQ(answer.text.find_first_not_of("abcd<>"), std::string::npos);
    EXPECT_EQ(answer.last.usage.completion_tokens, answer.tokens);
  }
  EXPECT_EQ(engine_->Metrics().running, 0);
}

TEST_F(EngineTest, AGrammarThatIsNoneIsRefused) {
  Start(ToyOptions());
  GenerationRequest request = Prompt(*engine_, "hello", 100);
  request.grammar.rules = "root ::= root \"a\"";
  const auto refused = engine_->Submit(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_EQ(refused.error().field, "response_format");
}

TEST_F(EngineTest, AGrammarAtTheTokenLimitIsCutThere) {
  Start(ToyOptions());
  GenerationRequest request = Prompt(*engine_, "hello", 10);
  request.grammar.rules = "root ::= [a-d]+";
  request.sampling.logit_bias = {{2, -100}};  // The end of text.
  const Answer answer = receiver_.WaitFor(engine_->Submit(request).value());
  EXPECT_EQ(answer.last.finish_reason, FinishReason::kLength);
  EXPECT_EQ(answer.text.size(), 10U);
}

TEST_F(EngineTest, OptionsAreCheckedBeforeTheModelLoads) {
  const auto field = [this](auto change) {
    EngineOptions options = ToyOptions();
    options.model_path = "/nonexistent.gguf";
    change(options);
    const auto engine = Engine::Start(options, receiver_.Sink());
    return engine ? std::string("started") : engine.error().field;
  };
  EXPECT_EQ(field([](EngineOptions&) {}), "model");
  EXPECT_EQ(field([](EngineOptions& o) { o.parallel = 0; }), "parallel");
  EXPECT_EQ(field([](EngineOptions& o) { o.parallel = 257; }), "parallel");
  EXPECT_EQ(field([](EngineOptions& o) { o.step_tokens_max = 3; }), "step_tokens_max");
  EXPECT_EQ(field([](EngineOptions& o) { o.threads = -1; }), "threads");
  EXPECT_EQ(field([](EngineOptions& o) {
              o.model_path = ToyPath();
              o.context_tokens = 9000;
            }),
            "context");
}

// The prompts of conversations: a shared beginning, and turns that repeat what was said.
std::vector<TokenId> Beginning(int tokens, int seed) {
  std::vector<TokenId> prompt{1};
  Random random(static_cast<std::uint64_t>(seed));
  for (int i = 1; i < tokens; ++i) prompt.push_back(4 + static_cast<TokenId>(random.Below(250)));
  return prompt;
}

GenerationRequest Greedy(std::vector<TokenId> prompt, int tokens) {
  GenerationRequest request{
      .prompt = std::move(prompt), .output_tokens_max = tokens, .ignore_end_of_generation = true};
  request.sampling.temperature = 0;
  return request;
}

TEST_F(EngineTest, CountsCachedTokensExactly) {
  Start(ToyOptions());
  const std::vector<TokenId> prompt = Beginning(200, 1);
  const auto cached = [&](std::vector<TokenId> tokens) {
    const Answer answer = receiver_.WaitFor(engine_->Submit(Greedy(std::move(tokens), 4)).value());
    EXPECT_EQ(answer.last.end, Event::End::kFinished) << answer.last.error.message;
    return answer.last.usage.cached_tokens;
  };
  EXPECT_EQ(cached(prompt), 0);
  EXPECT_EQ(cached(prompt), 199) << "the last token is computed, for its output";
  std::vector<TokenId> longer = prompt;
  longer.resize(260, 9);
  EXPECT_EQ(cached(longer), 200);
  std::vector<TokenId> other = prompt;
  other[100] = other[100] == 5 ? 6 : 5;
  EXPECT_EQ(cached(other), 100);
  EXPECT_EQ(cached(Beginning(200, 2)), 0) << "one token in common is not worth a copy";
}

TEST_F(EngineTest, ReusedPrefixesDoNotChangeWhatIsWritten) {
  // Wide weights: what a token is computed beside changes its logits by a millionth only.
  SynthSpec spec = SynthPreset("toy").value();
  spec.quantization = Quantization::kF32;
  const std::string model = ModelPath("toy-f32.gguf", spec);
  for (const FlashAttention flash :
       {FlashAttention::kOff, FlashAttention::kOn, FlashAttention::kPrompts}) {
    SCOPED_TRACE(static_cast<int>(flash));
    std::map<int, std::string> texts[2];
    for (const bool reuse : {false, true}) {
      EngineOptions options = ToyOptions();
      options.model_path = model;
      options.flash_attention = flash;
      options.prefix_cache_mebibytes = reuse ? 16 : 0;
      Receiver receiver;  // Of its own: another engine counts its requests from 1 again.
      auto engine = Engine::Start(options, receiver.Sink());
      ASSERT_TRUE(engine.has_value()) << engine.error().message;
      const std::vector<TokenId> shared = Beginning(150, 1);
      int cached = 0;
      for (int turn = 0; turn < 3; ++turn) {
        for (int conversation = 0; conversation < 6; ++conversation) {  // More than slots.
          std::vector<TokenId> prompt = shared;
          const std::vector<TokenId> own = Beginning(60 * (turn + 1), 10 + conversation);
          prompt.insert(prompt.end(), own.begin(), own.end());
          const auto id = (*engine)->Submit(Greedy(prompt, 12));
          ASSERT_TRUE(id.has_value()) << id.error().message;
          const Answer answer = receiver.WaitFor(*id);
          texts[reuse ? 1 : 0][turn * 10 + conversation] = answer.text;
          cached += answer.last.usage.cached_tokens;
        }
      }
      EXPECT_EQ(cached > 0, reuse);
      if (reuse) EXPECT_GT(cached, 17 * 128);
      EXPECT_EQ((*engine)->Metrics().prefixes.cached_tokens, static_cast<std::uint64_t>(cached));
    }
    if (flash != FlashAttention::kPrompts) {
      EXPECT_EQ(texts[0], texts[1]);
      continue;
    }
    // Here a prompt's rest is computed without flash attention: a thousandth, and once in a while
    // another token.
    int equal = 0;
    for (const auto& [turn, text] : texts[0]) equal += text == texts[1].at(turn) ? 1 : 0;
    EXPECT_GE(equal, 16) << "of 18";
  }
}

TEST_F(EngineTest, RequestsThatBeginAlikeAtOnceComputeTheBeginningOnce) {
  EngineOptions options = ToyOptions();
  options.step_tokens_max = 64;
  Start(options);
  const std::vector<TokenId> shared = Beginning(300, 1);
  std::vector<RequestId> ids;
  for (int i = 0; i < 4; ++i) {
    std::vector<TokenId> prompt = shared;
    prompt.push_back(10 + i);
    ids.push_back(engine_->Submit(Greedy(prompt, 5)).value());
  }
  int cached = 0;
  for (const RequestId id : ids) cached += receiver_.WaitFor(id).last.usage.cached_tokens;
  EXPECT_GT(cached, 3 * 200);  // They wait until what is missing is not worth it.
  EXPECT_EQ(engine_->Metrics().prompt_tokens, 4u * 301u - static_cast<std::uint64_t>(cached));
}

TEST_F(EngineTest, StopsWhileRequestsRun) {
  Start(ToyOptions());
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(engine_->Submit(Prompt(*engine_, "a", 400)));
  engine_.reset();
}

}  // namespace
}  // namespace penstock::engine

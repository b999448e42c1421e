// Chat and text completions: from the body to submitted generations, and their events to the
// answer.
#include <algorithm>
#include <charconv>
#include <functional>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "api/replica_headers.h"
#include "engine/face/face.h"
#include "engine/face/reply_stream.h"
#include "engine/face/work.h"

namespace penstock::engine {

namespace {

// `called`: the answer calls tools.
penstock::FinishReason ReasonToApi(FinishReason reason, bool called = false) {
  if (reason != FinishReason::kStop) return penstock::FinishReason::kLength;
  return called ? penstock::FinishReason::kToolCalls : penstock::FinishReason::kStop;
}

SamplingOptions ToEngine(const penstock::Sampling& sampling) {
  SamplingOptions options{.temperature = sampling.temperature,
                          .top_k = sampling.top_k,
                          .top_p = sampling.top_p,
                          .min_p = sampling.min_p,
                          .presence_penalty = sampling.presence_penalty,
                          .frequency_penalty = sampling.frequency_penalty,
                          .repeat_penalty = sampling.repetition_penalty};
  if (sampling.seed) options.seed = static_cast<std::uint64_t>(*sampling.seed);
  for (const auto& [token, bias] : sampling.logit_bias) {
    options.logit_bias.emplace_back(token, static_cast<float>(bias));
  }
  return options;
}

// A request's parts of time are those of its slowest choice.
void AddTiming(Timing& total, const Usage& one) {
  total.queue_ms = std::max(total.queue_ms, Milliseconds(one.queue));
  total.prefill_ms = std::max(total.prefill_ms, Milliseconds(one.prefill));
  total.decode_ms = std::max(total.decode_ms, Milliseconds(one.decode));
}

// Adds a finished choice's tokens. A prompt that several choices share counts once.
void AddUsage(penstock::Usage& total, const Usage& one, std::size_t choice, std::int32_t n) {
  if (choice % static_cast<std::size_t>(n) == 0) {
    total.prompt_tokens += static_cast<std::uint64_t>(one.prompt_tokens);
    total.cached_tokens += static_cast<std::uint64_t>(one.cached_tokens);
  }
  total.completion_tokens += static_cast<std::uint64_t>(one.completion_tokens);
}

}  // namespace

// The likelihood as JSON in the format's form; `text_bytes`: of the choice's text before it.
std::string Face::LogprobsOf(ChunkFormat format, std::span<const TokenLogprob> tokens,
                             std::size_t text_bytes) {
  std::string out;
  if (format == ChunkFormat::kChat) {
    AppendChatLogprobs(out, tokens);
  } else {
    AppendCompletionLogprobs(out, tokens, text_bytes);
  }
  return out;
}

TokenLogprob Face::ToApi(const Likelihood& likelihood) const {
  const Tokenizer& tokenizer = engine_.model().tokenizer();
  TokenLogprob token{.piece = std::string(tokenizer.Piece(likelihood.token)),
                     .logprob = likelihood.logprob,
                     .top = {}};
  for (const auto& [id, logprob] : likelihood.top) {
    token.top.emplace_back(tokenizer.Piece(id), logprob);
  }
  return token;
}

// What the gateway knows of the request (api/replica_headers.h).
Status Face::ReadReplicaHeaders(const http::Exchange& exchange, Work& work) const {
  const http::RequestHead& head = exchange.head();
  work.caller = head.fields.Get(kCallerHeader).substr(0, kCallerBytesMax);
  const std::string_view text = head.fields.Get(kDeadlineHeader);
  if (text.empty()) return {};
  std::uint32_t milliseconds = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), milliseconds);
  if (error != std::errc() || end != text.end()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} is '{}'; it must be a whole number of milliseconds",
                            kDeadlineHeader, text.substr(0, 32)),
                std::string(kDeadlineHeader));
  }
  work.deadline = exchange.arrived_at() + std::chrono::milliseconds(milliseconds);
  return {};
}

io::Task<void> Face::Complete(http::Exchange& exchange, PaddedView body) {
  auto request = ParseCompletionRequest(body);
  if (!request) {
    co_await RespondError(exchange, request.error());
    co_return;
  }
  Work work{.format = ChunkFormat::kCompletion,
            .options = std::move(request->options),
            .id = NewId("cmpl"),
            .model = request->model.empty() ? options_.model_name : std::move(request->model),
            .created_s = NowSeconds()};
  for (const penstock::Prompt& prompt : request->prompts) {
    auto tokens = TokensOf(prompt);
    if (!tokens) {
      co_await RespondError(exchange, tokens.error());
      co_return;
    }
    if (request->echo) {
      const auto* text = std::get_if<std::string>(&prompt);
      work.echoes.push_back(
          text != nullptr ? *text : engine_.model().tokenizer().Detokenize(*tokens).value_or(""));
    }
    if (!request->suffix.empty()) {
      tokens = engine_.model().tokenizer().AroundGap(*tokens, request->suffix);
      if (!tokens) {
        co_await RespondError(exchange, tokens.error());
        co_return;
      }
    }
    work.prompts.push_back(std::move(*tokens));
  }
  co_await Generate(exchange, work);
}

Status Face::SubmitAll(Work& work, RunningRequests& running) const {
  if (work.choices() > static_cast<std::size_t>(options_.choices_max)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("prompts times `n` (or `best_of`) must be at most {}, not {} x {}",
                            options_.choices_max, work.prompts.size(), work.options.best_of),
                "n");
  }
  for (const std::vector<TokenId>& prompt : work.prompts) {
    for (std::int32_t choice = 0; choice < work.options.best_of; ++choice) {
      GenerationRequest request{.prompt = prompt,
                                .output_tokens_max = work.options.tokens_max.value_or(0),
                                .output_tokens_min = work.options.tokens_min,
                                .ignore_end_of_generation = work.options.ignore_eos,
                                .top_likelihoods = work.keeps_best()
                                                       ? work.options.top_logprobs.value_or(0)
                                                       : work.options.top_logprobs,
                                .sampling = ToEngine(work.options.sampling),
                                .grammar = work.grammar,
                                .written_specials = work.written_specials,
                                .stops = work.options.stop,
                                .caller = work.caller,
                                .deadline = work.deadline};
      // Choices of one prompt must differ, whatever the seed.
      if (request.sampling.seed) *request.sampling.seed += static_cast<std::uint64_t>(choice);
      if (const Status taken = running.Submit(std::move(request)); !taken) return taken;
    }
  }
  return {};
}

io::Task<void> Face::Generate(http::Exchange& exchange, Work& work) {
  if (!work.options.grammar.empty()) work.grammar.rules = std::move(work.options.grammar);
  if (const Status read = ReadReplicaHeaders(exchange, work); !read) {
    co_await RespondError(exchange, read.error());
    co_return;
  }
  Mailbox mailbox(loop_);
  RunningRequests running(engine_, inbox_, mailbox);
  if (const Status submitted = SubmitAll(work, running); !submitted) {
    co_await RespondError(exchange, submitted.error());
    co_return;
  }
  exchange.CancelWhenPeerGone();
  exchange.ReleaseRequest();
  if (work.options.stream) {
    co_await AnswerStream(exchange, work, mailbox);
  } else {
    co_await AnswerWhole(exchange, work, mailbox);
  }
}

// Of each prompt's generations the `n` whose tokens are likeliest, on average.
void Face::KeepBest(const Work& work, const std::vector<std::vector<TokenLogprob>>& likelihoods,
                    std::vector<Choice>& choices) {
  const auto mean = [&](std::size_t choice) {
    double sum = 0;
    for (const TokenLogprob& token : likelihoods[choice]) sum += token.logprob;
    return sum / static_cast<double>(std::max<std::size_t>(likelihoods[choice].size(), 1));
  };
  std::vector<Choice> kept;
  const auto drawn = static_cast<std::size_t>(work.options.best_of);
  for (std::size_t prompt = 0; prompt < work.prompts.size(); ++prompt) {
    std::vector<std::size_t> order(drawn);
    std::iota(order.begin(), order.end(), prompt * drawn);
    std::ranges::sort(order, std::greater<>(), mean);
    for (std::int32_t i = 0; i < work.options.n; ++i) {
      kept.push_back(choices[order[static_cast<std::size_t>(i)]]);
    }
  }
  choices = std::move(kept);
}

io::Task<void> Face::AnswerWhole(http::Exchange& exchange, const Work& work, Mailbox& mailbox) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < work.choices(); ++i) texts.emplace_back(work.EchoOf(i));
  std::vector<Choice> choices(work.choices());
  std::vector<std::vector<TokenLogprob>> likelihoods(work.choices());
  penstock::Usage usage;
  Timing timing;
  for (std::size_t left = work.choices(); left > 0;) {
    if (!co_await mailbox.Wait()) co_return;
    for (auto& [choice, event] : mailbox.Take()) {
      if (event.end == Event::End::kFailed) {
        co_await RespondError(exchange, event.error);
        co_return;
      }
      texts[choice] += event.text;
      if (event.likelihood) likelihoods[choice].push_back(ToApi(*event.likelihood));
      if (event.end != Event::End::kFinished) continue;
      choices[choice].finish = ReasonToApi(event.finish_reason);
      AddUsage(usage, event.usage, choice, work.options.best_of);
      AddTiming(timing, event.usage);
      --left;
    }
  }
  std::vector<std::vector<penstock::ToolCall>> calls(choices.size());
  ReadReplies(work, texts, random_, calls, choices);
  std::vector<std::string> logprobs(choices.size());
  for (std::size_t i = 0; i < choices.size(); ++i) {
    choices[i].text = texts[i];
    if (!work.options.top_logprobs) continue;
    logprobs[i] = LogprobsOf(work.format, likelihoods[i], work.EchoOf(i).size());
    choices[i].logprobs = logprobs[i];
  }
  if (work.keeps_best()) KeepBest(work, likelihoods, choices);
  std::string out;
  if (work.format == ChunkFormat::kChat) {
    AppendChatCompletion(out, work.head(), choices, usage, &timing);
  } else {
    AppendCompletion(out, work.head(), choices, usage, &timing);
  }
  (void)co_await exchange.Respond(200, "application/json", out);
}

// One write a step: whatever the step brought for this request. The role goes with the first text,
// so that until a token is there the request can still be sent elsewhere.
io::Task<void> Face::AnswerStream(http::Exchange& exchange, const Work& work, Mailbox& mailbox) {
  const ChunkWriter writer(work.format, work.head(), work.options.include_usage);
  exchange.StartStream(200, "text/event-stream", {{"cache-control", "no-cache"}});
  std::vector<bool> begun(work.choices());
  std::vector<std::size_t> text_bytes(work.choices());  // Of tokens that were sent.
  std::vector<ReplyStream> replies(work.reader ? work.choices() : 0, ReplyStream(work.calls_max));
  penstock::Usage usage;
  Timing timing;
  std::string out;
  for (std::size_t left = work.choices(); left > 0;) {
    if (!co_await mailbox.Wait()) co_return;
    out.clear();
    for (const auto& [choice, event] : mailbox.Take()) {
      const auto index = static_cast<std::int32_t>(choice);
      if (event.end == Event::End::kFailed) {
        AppendErrorEvent(out, event.error);
        (void)co_await exchange.Finish(out);
        co_return;
      }
      if (!begun[choice]) {
        begun[choice] = true;
        if (work.format == ChunkFormat::kChat) writer.AppendRole(out, index);
        if (!work.EchoOf(choice).empty()) writer.AppendText(out, work.EchoOf(choice), index);
      }
      const bool last = event.end == Event::End::kFinished;
      if (work.reader) {
        replies[choice].Feed(*work.reader, event.text, last, random_);
        replies[choice].AppendNew(writer, index, out);
      } else if (event.likelihood) {
        const TokenLogprob token = ToApi(*event.likelihood);
        writer.AppendText(
            out, event.text,
            LogprobsOf(work.format, {&token, 1}, work.EchoOf(choice).size() + text_bytes[choice]),
            index);
        text_bytes[choice] += token.piece.size();
      } else if (!event.text.empty()) {
        writer.AppendText(out, event.text, index);
      }
      if (!last) continue;
      const bool called = work.reader && replies[choice].HasCalls();
      const bool whole = called && replies[choice].Complete();
      writer.AppendFinish(
          out, ReasonToApi(whole ? FinishReason::kStop : event.finish_reason, called), index);
      AddUsage(usage, event.usage, choice, work.options.best_of);
      AddTiming(timing, event.usage);
      --left;
    }
    if (left == 0) break;
    if (!out.empty() && !co_await exchange.WriteChunk(out)) co_return;
  }
  if (work.options.include_usage) writer.AppendUsage(out, usage, &timing);
  ChunkWriter::AppendDone(out);
  (void)co_await exchange.Finish(out);
}

}  // namespace penstock::engine

// Face: answers the HTTP requests of one replica with its engine.
//
// One loop's thread. Tokenising and templates run on it, decoding on the model's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/chunk_writer.h"
#include "api/logprobs.h"
#include "api/requests.h"
#include "api/responses.h"
#include "base/random.h"
#include "engine/engine.h"
#include "engine/face/inbox.h"
#include "http/exchange.h"
#include "meter/metrics.h"

namespace penstock::engine {

struct FaceOptions {
  std::string model_name;  // What /v1/models lists, and answers to requests that name none.
  int choices_max = 16;    // Generations of one request: its prompts times `n`.
  // Put in front of chats that have no system message of their own; "" for none.
  std::string system_prompt = {};
  std::string version;  // For /metrics.
};

class Face {
 public:
  // All outlive the face. `inbox` is the one whose sink the engine was given.
  Face(io::Loop& loop, Engine& engine, Inbox& inbox, FaceOptions options);

  // The http::Handler.
  io::Task<void> Handle(http::Exchange& exchange);

 private:
  struct Work;  // One generation request: its prompts, its options, how its answer is written.

  io::Task<void> Post(http::Exchange& exchange, std::string_view path);
  io::Task<void> Get(http::Exchange& exchange, std::string_view path);
  io::Task<void> Chat(http::Exchange& exchange, PaddedView body);
  io::Task<void> Complete(http::Exchange& exchange, PaddedView body);
  io::Task<void> Generate(http::Exchange& exchange, Work& work);
  io::Task<void> AnswerWhole(http::Exchange& exchange, const Work& work, Mailbox& mailbox);
  io::Task<void> AnswerStream(http::Exchange& exchange, const Work& work, Mailbox& mailbox);
  io::Task<void> Embeddings(http::Exchange& exchange, PaddedView body);
  io::Task<void> Tokenize(http::Exchange& exchange, PaddedView body);
  io::Task<void> Detokenize(http::Exchange& exchange, PaddedView body);
  io::Task<void> Models(http::Exchange& exchange);
  io::Task<void> RespondError(http::Exchange& exchange, const Error& error);

  Result<std::vector<TokenId>> TokensOf(const penstock::Prompt& prompt) const;
  Result<ChatPrompt> ApplyTemplate(const std::vector<penstock::ChatMessage>& messages,
                                   ChatInput input = {}) const;
  Result<Work> PrepareChat(ChatRequest request);
  Status ReadReplicaHeaders(const http::Exchange& exchange, Work& work) const;
  Status SubmitAll(Work& work, RunningRequests& running) const;
  static std::string LogprobsOf(ChunkFormat format, std::span<const TokenLogprob> tokens,
                                std::size_t text_bytes);
  static void KeepBest(const Work& work, const std::vector<std::vector<TokenLogprob>>& likelihoods,
                       std::vector<Choice>& choices);
  TokenLogprob ToApi(const Likelihood& likelihood) const;
  static void ReadReplies(const Work& work, std::span<std::string> texts, Random& ids,
                          std::vector<std::vector<penstock::ToolCall>>& calls,
                          std::vector<Choice>& choices);
  std::string NewId(std::string_view prefix);
  std::int64_t NowSeconds() const;
  void AddMetrics();

  io::Loop& loop_;
  Engine& engine_;
  Inbox& inbox_;
  FaceOptions options_;
  meter::Metrics metrics_;
  Random random_;
};

}  // namespace penstock::engine

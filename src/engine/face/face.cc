#include "engine/face/face.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "api/error_body.h"
#include "engine/face/slots_page.h"

namespace penstock::engine {

namespace {

constexpr std::string_view kJson = "application/json";

// The first `dimensions` values, brought to length 1 where the whole vector had that.
void Shorten(std::vector<float>& vector, std::size_t dimensions, bool normalised) {
  if (dimensions >= vector.size()) return;
  vector.resize(dimensions);
  if (!normalised) return;
  double squares = 0;
  for (const float value : vector) squares += static_cast<double>(value) * value;
  const auto scale = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 0);
  for (float& value : vector) value *= scale;
}

}  // namespace

Face::Face(io::Loop& loop, Engine& engine, Inbox& inbox, FaceOptions options)
    : loop_(loop),
      engine_(engine),
      inbox_(inbox),
      options_(std::move(options)),
      metrics_(options_.version),
      random_(static_cast<std::uint64_t>(loop.Now().time_since_epoch().count())) {
  AddMetrics();
}

io::Task<void> Face::Handle(http::Exchange& exchange) {
  // The head goes with the request once an answer streams.
  const std::string path(exchange.head().path);
  const std::string_view method = exchange.head().method;
  if (method == "POST") {
    co_await Post(exchange, path);
  } else if (method == "GET" || method == "HEAD") {
    co_await Get(exchange, path);
  } else {
    co_await RespondError(
        exchange, {Code::kMethodNotAllowed, fmt::format("{} does not take {}", path, method), {}});
  }
}

io::Task<void> Face::Post(http::Exchange& exchange, std::string_view path) {
  const auto text = co_await exchange.ReadBody();
  if (!text) {
    co_await RespondError(exchange, text.error());
    co_return;
  }
  const PaddedView body = PaddedView::Unsafe(*text);
  if (path == "/v1/chat/completions") {
    co_await Chat(exchange, body);
  } else if (path == "/v1/completions") {
    co_await Complete(exchange, body);
  } else if (path == "/v1/embeddings") {
    co_await Embeddings(exchange, body);
  } else if (path == "/tokenize") {
    co_await Tokenize(exchange, body);
  } else if (path == "/detokenize") {
    co_await Detokenize(exchange, body);
  } else {
    co_await RespondError(exchange,
                          {Code::kNotFound, fmt::format("no such path: POST {}", path), {}});
  }
}

io::Task<void> Face::Get(http::Exchange& exchange, std::string_view path) {
  if (path == "/health") {
    (void)co_await exchange.Respond(200, kJson, R"({"status":"ok"})");
  } else if (path == "/metrics") {
    const std::string text = metrics_.Expose();
    (void)co_await exchange.Respond(200, "text/plain; version=0.0.4; charset=utf-8", text);
  } else if (path == "/slots" || path == "/") {
    std::string text;
    const auto append = path == "/" ? AppendSlotsPage : AppendSlots;
    append(text, options_.model_name, engine_.Metrics(), engine_.Slots());
    (void)co_await exchange.Respond(200, path == "/" ? "text/html; charset=utf-8" : kJson, text);
  } else if (path == "/v1/models") {
    co_await Models(exchange);
  } else {
    co_await RespondError(exchange,
                          {Code::kNotFound, fmt::format("no such path: GET {}", path), {}});
  }
}

io::Task<void> Face::Models(http::Exchange& exchange) {
  const ModelCard card{.id = options_.model_name, .created_s = NowSeconds()};
  std::string body;
  AppendModelList(body, std::span(&card, 1));
  (void)co_await exchange.Respond(200, kJson, body);
}

io::Task<void> Face::Tokenize(http::Exchange& exchange, PaddedView body) {
  const auto request = ParseTokenizeRequest(body);
  if (!request) {
    co_await RespondError(exchange, request.error());
    co_return;
  }
  const bool chat = !request->messages.empty();
  const auto prompt =
      chat ? ApplyTemplate(request->messages) : Result<ChatPrompt>({.text = request->prompt});
  if (!prompt) {
    co_await RespondError(exchange, prompt.error());
    co_return;
  }
  const auto tokens = engine_.model().tokenizer().Tokenize(
      prompt->text, {.add_special = request->add_special_tokens, .parse_special = chat});
  if (!tokens) {
    co_await RespondError(exchange, tokens.error());
    co_return;
  }
  std::string out;
  AppendTokens(out, *tokens, engine_.context_tokens());
  (void)co_await exchange.Respond(200, kJson, out);
}

io::Task<void> Face::Detokenize(http::Exchange& exchange, PaddedView body) {
  const auto request = ParseDetokenizeRequest(body);
  if (!request) {
    co_await RespondError(exchange, request.error());
    co_return;
  }
  const auto text = engine_.model().tokenizer().Detokenize(request->tokens);
  if (!text) {
    co_await RespondError(exchange, text.error());
    co_return;
  }
  std::string out;
  AppendDetokenized(out, *text);
  (void)co_await exchange.Respond(200, kJson, out);
}

io::Task<void> Face::Embeddings(http::Exchange& exchange, PaddedView body) {
  auto request = ParseEmbeddingRequest(body);
  if (!request) {
    co_await RespondError(exchange, request.error());
    co_return;
  }
  const int size = engine_.model().info().embedding_size;
  if (request->dimensions.value_or(1) > size) {
    co_await RespondError(exchange, {Code::kInvalidArgument,
                                     fmt::format("`dimensions` must be at most {} for this model, "
                                                 "not {}",
                                                 size, *request->dimensions),
                                     "dimensions"});
    co_return;
  }
  Mailbox mailbox(loop_);
  RunningRequests running(engine_, inbox_, mailbox);
  exchange.CancelWhenPeerGone();
  for (const penstock::Prompt& input : request->inputs) {
    auto tokens = TokensOf(input);
    const Status submitted = tokens ? running.Embed(std::move(*tokens)) : Fail(tokens.error());
    if (!submitted) {
      co_await RespondError(exchange, submitted.error());
      co_return;
    }
  }
  std::vector<std::vector<float>> vectors(running.size());
  penstock::Usage usage;
  for (std::size_t left = running.size(); left > 0;) {
    if (!co_await mailbox.Wait()) co_return;
    for (auto& [choice, event] : mailbox.Take()) {
      if (event.end == Event::End::kFailed) {
        co_await RespondError(exchange, event.error);
        co_return;
      }
      vectors[choice] = std::move(event.embedding.values);
      if (request->dimensions) {
        Shorten(vectors[choice], static_cast<std::size_t>(*request->dimensions),
                engine_.model().info().normalises);
      }
      usage.prompt_tokens += static_cast<std::uint64_t>(event.embedding.prompt_tokens);
      --left;
    }
  }
  std::string out;
  const std::string& model = request->model.empty() ? options_.model_name : request->model;
  AppendEmbeddings(out, {.id = {}, .model = model}, vectors, request->encoding_format, usage);
  (void)co_await exchange.Respond(200, kJson, out);
}

io::Task<void> Face::RespondError(http::Exchange& exchange, const Error& error) {
  // OpenAI's word for it, which clients look at; the engine's own messages alone say so.
  const bool too_long = error.message.find("the context holds") != std::string::npos;
  const std::string body =
      ErrorBody(Dialect::kOpenAi, error, too_long ? "context_length_exceeded" : "");
  (void)co_await exchange.Respond(Traits(error.code).http_status, kJson, body);
}

Result<std::vector<TokenId>> Face::TokensOf(const penstock::Prompt& prompt) const {
  const Tokenizer& tokenizer = engine_.model().tokenizer();
  if (const auto* text = std::get_if<std::string>(&prompt)) return tokenizer.Tokenize(*text, {});
  const auto& tokens = std::get<std::vector<TokenId>>(prompt);
  if (const Status known = tokenizer.CheckTokens(tokens); !known) return Fail(known.error());
  return tokens;
}

// `input`: what is asked for beside the messages.
Result<ChatPrompt> Face::ApplyTemplate(const std::vector<penstock::ChatMessage>& messages,
                                       ChatInput input) const {
  input.messages.reserve(messages.size() + 1);
  const bool instructed = std::ranges::any_of(messages, [](const penstock::ChatMessage& message) {
    return message.role == "system" || message.role == "developer";
  });
  if (!options_.system_prompt.empty() && !instructed) {
    input.messages.push_back({.role = "system", .content = options_.system_prompt});
  }
  for (const penstock::ChatMessage& message : messages) {
    ChatMessage& added =
        input.messages.emplace_back(ChatMessage{.role = message.role,
                                                .content = message.content,
                                                .name = message.name,
                                                .tool_calls = {},
                                                .tool_call_id = message.tool_call_id});
    for (const penstock::ToolCall& call : message.tool_calls) {
      added.tool_calls.push_back({.id = call.id, .name = call.name, .arguments = call.arguments});
    }
  }
  return engine_.chat_template().Apply(input);
}

std::string Face::NewId(std::string_view prefix) {
  return fmt::format("{}-{:016x}{:08x}", prefix, random_.Next(),
                     static_cast<std::uint32_t>(random_.Next()));
}

std::int64_t Face::NowSeconds() const {
  return std::chrono::duration_cast<std::chrono::seconds>(loop_.WallNow().time_since_epoch())
      .count();
}

}  // namespace penstock::engine

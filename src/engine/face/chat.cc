// Chat: from the messages and tools of a request to a prompt, and from replies to tool calls.
#include <utility>

#include "engine/face/face.h"
#include "engine/face/reply_stream.h"
#include "engine/face/work.h"

namespace penstock::engine {

Result<Face::Work> Face::PrepareChat(ChatRequest request) {
  ChatInput input{.must_call = request.tool_choice == ToolChoice::kRequired,
                  .parallel_calls = request.parallel_tool_calls};
  for (Tool& tool : request.tools) {
    input.tools.push_back(
        {std::move(tool.name), std::move(tool.description), std::move(tool.parameters)});
  }
  auto prompt = ApplyTemplate(request.messages, std::move(input));
  if (!prompt) return Fail(std::move(prompt.error()));
  // The template writes special tokens, and the beginning of the text where the model wants one.
  const Tokenizer& tokenizer = engine_.model().tokenizer();
  auto tokens = tokenizer.Tokenize(prompt->text, {.parse_special = true});
  if (!tokens) return Fail(std::move(tokens.error()));
  Work work{.format = ChunkFormat::kChat,
            .options = std::move(request.options),
            .grammar = std::move(prompt->grammar),
            .reader = std::move(prompt->reader),
            .calls_max = request.parallel_tool_calls ? std::size_t{0} : std::size_t{1},
            .id = NewId("chatcmpl"),
            .model = request.model.empty() ? options_.model_name : std::move(request.model),
            .created_s = NowSeconds()};
  for (const std::string& special : prompt->written_specials) {
    if (const auto token = tokenizer.SpecialToken(special)) work.written_specials.push_back(*token);
  }
  for (std::string& stop : prompt->stops) work.options.stop.push_back(std::move(stop));
  work.prompts.push_back(std::move(*tokens));
  return work;
}

io::Task<void> Face::Chat(http::Exchange& exchange, PaddedView body) {
  auto request = ParseChatRequest(body);
  if (!request) {
    co_await RespondError(exchange, request.error());
    co_return;
  }
  auto work = PrepareChat(std::move(*request));
  if (!work) {
    co_await RespondError(exchange, work.error());
    co_return;
  }
  co_await Generate(exchange, *work);
}

// Takes the tool calls out of whole texts.
void Face::ReadReplies(const Work& work, std::span<std::string> texts, Random& ids,
                       std::vector<std::vector<penstock::ToolCall>>& calls,
                       std::vector<Choice>& choices) {
  if (!work.reader) return;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ReplyStream reply(work.calls_max);
    reply.Feed(*work.reader, texts[i], true, ids);
    texts[i] = reply.content();
    calls[i] = reply.calls();
    choices[i].tool_calls = calls[i];
    const bool ended = choices[i].finish == penstock::FinishReason::kStop || reply.Complete();
    if (reply.HasCalls() && ended) {
      choices[i].finish = penstock::FinishReason::kToolCalls;
    }
  }
}

}  // namespace penstock::engine

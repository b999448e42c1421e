// Prompts, messages, and the five requests.
#include "api/requests.h"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "api/generation_options.h"
#include "api/object_reader.h"

namespace penstock {
namespace internal {
namespace {

namespace dom = simdjson::dom;

constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                    "assistant", "tool",      "function"};

// `{"type": "text", "text": ...}`.
void AddPart(ObjectReader& in, const std::string& path, dom::element value, std::string& content) {
  dom::object object;
  if (value.get_object().get(object)) {
    return RefuseTypeAt(in.failure(), path, "an object", value);
  }
  ObjectReader part(object, path, in.failure());
  const auto type = part.Find("type");
  const auto text = part.Find("text");
  if (in.failure()) return;
  std::string_view word;
  if (!type || type->get_string().get(word) || word != "text") {
    const std::string shown = type ? Shown(*type) : "absent";
    return part.Refuse("type", fmt::format("`{}` must be \"text\", not {}: only text is supported",
                                           part.PathOf("type"), shown));
  }
  if (!text || text->get_string().get(word)) {
    return part.Refuse("text", fmt::format("`{}` must be a string", part.PathOf("text")));
  }
  content.append(word);
}

void ReadContent(ObjectReader& message, ChatMessage& out) {
  const auto value = message.Find("content");
  if (!value) {
    // An assistant's turn may have called tools and said nothing.
    if (out.role != "assistant") {
      message.Refuse("content", fmt::format("`{}` is missing", message.PathOf("content")));
    }
    return;
  }
  std::string_view text;
  dom::array parts;
  if (!value->get_string().get(text)) {
    out.content = text;
    return;
  }
  if (value->get_array().get(parts)) {
    return message.RefuseType("content", "a string or a list of text parts", *value);
  }
  std::size_t index = 0;
  for (const dom::element part : parts) {
    AddPart(message, ItemPath(message.PathOf("content"), index++), part, out.content);
    if (message.failure()) return;
  }
}

void AddMessage(ObjectReader& in, const std::string& path, dom::element value,
                std::vector<ChatMessage>& messages) {
  dom::object object;
  if (value.get_object().get(object)) {
    return RefuseTypeAt(in.failure(), path, "an object", value);
  }
  ObjectReader message(object, path, in.failure());
  ChatMessage& out = messages.emplace_back();
  const auto role = message.Find("role");
  if (!role) {
    return message.Refuse("role", fmt::format("`{}` is missing", message.PathOf("role")));
  }
  std::string_view word;
  if (role->get_string().get(word) || std::ranges::find(kRoles, word) == kRoles.end()) {
    return message.RefuseType("role", fmt::format("one of {}", fmt::join(kRoles, ", ")), *role);
  }
  out.role = word;
  message.Read("name", out.name);
  if (out.role == "assistant") ReadToolCalls(message, out.tool_calls);
  if (out.role == "tool") message.Read("tool_call_id", out.tool_call_id);
  ReadContent(message, out);
}

void AddText(ObjectReader& in, std::string_view path, std::string_view text, PromptRules rules,
             std::vector<Prompt>& prompts) {
  if (text.empty() && !rules.empty_text) {
    return RefuseAt(in.failure(), path, fmt::format("`{}` must not be empty", path));
  }
  prompts.emplace_back(std::string(text));
}

void AddIds(ObjectReader& in, std::string_view path, dom::array ids, std::vector<Prompt>& prompts) {
  if (ids.size() == 0) {
    return RefuseAt(in.failure(), path, fmt::format("`{}` must not be empty", path));
  }
  std::vector<TokenId> tokens;
  ReadTokenIds(in, path, ids, tokens);
  prompts.emplace_back(std::move(tokens));
}

constexpr std::string_view kPromptTypes =
    "a string, a list of strings, a list of token ids or a list of such lists";

void AddPrompt(ObjectReader& in, const std::string& path, dom::element value, PromptRules rules,
               std::vector<Prompt>& prompts) {
  std::string_view text;
  dom::array ids;
  if (!value.get_string().get(text)) return AddText(in, path, text, rules, prompts);
  if (!value.get_array().get(ids)) return AddIds(in, path, ids, prompts);
  RefuseTypeAt(in.failure(), path, "a string or a list of token ids", value);
}

}  // namespace

void ReadTokenIds(ObjectReader& in, std::string_view path, dom::array ids,
                  std::vector<TokenId>& tokens) {
  constexpr std::int64_t kIdMax = std::numeric_limits<TokenId>::max();
  std::size_t index = 0;
  for (const dom::element item : ids) {
    std::int64_t id = -1;
    if (item.get_int64().get(id) || id < 0 || id > kIdMax) {
      return RefuseTypeAt(in.failure(), ItemPath(path, index),
                          fmt::format("a token id in [0, {}]", kIdMax), item);
    }
    tokens.push_back(static_cast<TokenId>(id));
    ++index;
  }
}

void ReadMessages(ObjectReader& in, std::vector<ChatMessage>& messages) {
  const auto value = in.Find("messages");
  dom::array list;
  if (!value) return in.Refuse("messages", "`messages` is missing");
  if (value->get_array().get(list)) {
    return in.RefuseType("messages", "a list of messages", *value);
  }
  if (list.size() == 0) return in.Refuse("messages", "`messages` must not be empty");
  std::size_t index = 0;
  for (const dom::element item : list) {
    AddMessage(in, ItemPath("messages", index++), item, messages);
    if (in.failure()) return;
  }
}

void ReadPrompts(ObjectReader& in, std::string_view name, PromptRules rules,
                 std::vector<Prompt>& prompts) {
  const auto value = in.Find(name);
  if (!value) return in.Refuse(name, fmt::format("`{}` is missing", name));
  std::string_view text;
  dom::array list;
  if (!value->get_string().get(text)) return AddText(in, name, text, rules, prompts);
  if (value->get_array().get(list)) return in.RefuseType(name, kPromptTypes, *value);
  if (list.begin() != list.end() && (*list.begin()).is_number()) {
    return AddIds(in, name, list, prompts);
  }
  if (list.size() == 0 || list.size() > kInputsMax) {
    return in.Refuse(
        name, fmt::format("`{}` must hold 1 to {} items, not {}", name, kInputsMax, list.size()));
  }
  std::size_t index = 0;
  for (const dom::element item : list) {
    AddPrompt(in, ItemPath(name, index++), item, rules, prompts);
    if (in.failure()) return;
  }
}

}  // namespace internal

using internal::ObjectReader;

namespace {

// A list that asks for something, or a text that is not empty, where it has no meaning.
void RefuseWhereNotEmpty(ObjectReader& in, std::string_view name, std::string_view where) {
  const auto value = in.Find(name);
  simdjson::dom::array list;
  std::string_view text;
  if (!value || (!value->get_array().get(list) && list.size() == 0) ||
      (!value->get_string().get(text) && text.empty())) {
    return;
  }
  in.Refuse(name, fmt::format("`{}` is for {} completions only", name, where));
}

// Databricks' `instruction`: what the model is told before each text.
void ReadInstruction(ObjectReader& in, std::vector<Prompt>& inputs) {
  std::string instruction;
  in.Read("instruction", instruction);
  if (instruction.empty()) return;
  if (instruction.back() != ' ') instruction += ' ';
  for (Prompt& input : inputs) {
    auto* const text = std::get_if<std::string>(&input);
    if (text == nullptr) {
      return in.Refuse("instruction", "`instruction` needs texts in `input`, not token ids");
    }
    text->insert(0, instruction);
  }
}

}  // namespace

Result<ChatRequest> ParseChatRequest(PaddedView body) {
  return internal::ParseBody<ChatRequest>(body, [](ObjectReader& in, ChatRequest& request) {
    in.Read("model", request.model);
    internal::ReadMessages(in, request.messages);
    internal::ReadGenerationOptions(in, request.options);
    internal::ReadTools(in, request);
    RefuseWhereNotEmpty(in, "suffix", "text");
  });
}

Result<CompletionRequest> ParseCompletionRequest(PaddedView body) {
  return internal::ParseBody<CompletionRequest>(body, [](ObjectReader& in,
                                                         CompletionRequest& request) {
    in.Read("model", request.model);
    internal::ReadPrompts(in, "prompt", {.empty_text = true}, request.prompts);
    in.Read("echo", request.echo);
    in.Read("suffix", request.suffix);
    RefuseWhereNotEmpty(in, "tools", "chat");
    internal::ReadGenerationOptions(in, request.options);
    if (!request.options.tokens_max) {
      request.options.tokens_max = std::max(kCompletionTokensDefault, request.options.tokens_min);
    }
  });
}

Result<EmbeddingRequest> ParseEmbeddingRequest(PaddedView body) {
  return internal::ParseBody<EmbeddingRequest>(body, [](ObjectReader& in,
                                                        EmbeddingRequest& request) {
    in.Read("model", request.model);
    internal::ReadPrompts(in, "input", {.empty_text = false}, request.inputs);
    std::string format = "float";
    in.Read("encoding_format", format);
    if (format != "float" && format != "base64") {
      in.Refuse("encoding_format",
                fmt::format("`encoding_format` must be \"float\" or \"base64\", not \"{}\"",
                            format.substr(0, 64)));
    }
    request.encoding_format = format == "base64" ? EncodingFormat::kBase64 : EncodingFormat::kFloat;
    if (in.Find("dimensions")) {
      std::int32_t dimensions = 0;
      in.Read("dimensions", dimensions, 1, std::numeric_limits<std::int32_t>::max());
      request.dimensions = dimensions;
    }
    in.Read("user", request.user);
    ReadInstruction(in, request.inputs);
  });
}

Result<TokenizeRequest> ParseTokenizeRequest(PaddedView body) {
  return internal::ParseBody<TokenizeRequest>(body, [](ObjectReader& in, TokenizeRequest& request) {
    in.Read("model", request.model);
    in.Read("add_special_tokens", request.add_special_tokens);
    if (in.Find("messages")) {
      if (in.Find("prompt")) {
        return in.Refuse("prompt", "`prompt` and `messages` must not both be given");
      }
      return internal::ReadMessages(in, request.messages);
    }
    if (!in.Find("prompt")) return in.Refuse("prompt", "`prompt` is missing");
    in.Read("prompt", request.prompt);
  });
}

Result<DetokenizeRequest> ParseDetokenizeRequest(PaddedView body) {
  return internal::ParseBody<DetokenizeRequest>(
      body, [](ObjectReader& in, DetokenizeRequest& request) {
        in.Read("model", request.model);
        const auto value = in.Find("tokens");
        simdjson::dom::array ids;
        if (!value) return in.Refuse("tokens", "`tokens` is missing");
        if (value->get_array().get(ids)) {
          return in.RefuseType("tokens", "a list of token ids", *value);
        }
        internal::ReadTokenIds(in, "tokens", ids, request.tokens);
      });
}

}  // namespace penstock

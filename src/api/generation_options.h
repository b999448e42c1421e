// Readers that several requests share; for the files of this folder only.
#pragma once

#include <string_view>
#include <vector>

#include "api/object_reader.h"
#include "api/requests.h"

namespace penstock::internal {

void ReadGenerationOptions(ObjectReader& in, GenerationOptions& options);
// `tools`, `tool_choice`, `parallel_tool_calls`.
void ReadTools(ObjectReader& in, ChatRequest& request);
// An assistant's `tool_calls`.
void ReadToolCalls(ObjectReader& message, std::vector<ToolCall>& calls);
// `response_format`.
void ReadResponseFormat(ObjectReader& in, GenerationOptions& options);
void ReadMessages(ObjectReader& in, std::vector<ChatMessage>& messages);

struct PromptRules {
  bool empty_text = false;  // Whether "" is a prompt.
};
// A text, a list of texts, a list of token ids, or a list of such lists.
void ReadPrompts(ObjectReader& in, std::string_view name, PromptRules rules,
                 std::vector<Prompt>& prompts);
void ReadTokenIds(ObjectReader& in, std::string_view path, simdjson::dom::array ids,
                  std::vector<TokenId>& tokens);

}  // namespace penstock::internal

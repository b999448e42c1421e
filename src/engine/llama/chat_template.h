// ChatTemplate: turns a list of messages into a prompt, by the model's own template.
//
// Where libllama-common is there (the pinned llama.cpp), the model's Jinja is executed. Elsewhere
// the templates that llama.cpp knows by sight are. A model without a template gets ChatML.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

struct llama_model;

namespace penstock::engine {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant", ...
  std::string content;
};

// Immutable; safe from any thread.
class ChatTemplate {
 public:
  // `source` "" stands for ChatML. kUnsupported when this build cannot execute the template.
  static Result<std::unique_ptr<ChatTemplate>> Create(const llama_model* model, std::string source);
  virtual ~ChatTemplate() = default;

  // The prompt, up to where the assistant begins to speak. kInvalidArgument with the template's own
  // words when it refuses the messages (an unknown role, roles that do not alternate, ...).
  virtual Result<std::string> Apply(std::span<const ChatMessage> messages) const = 0;
};

}  // namespace penstock::engine

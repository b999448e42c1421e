// ChatTemplate: turns a list of messages into a prompt, by the model's own template.
//
// Where libllama-common is there (the pinned llama.cpp), the model's Jinja is executed. Elsewhere
// the templates that llama.cpp knows by sight are, and none of them knows tools. A model without a
// template gets ChatML.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/request.h"

struct llama_model;

namespace penstock::engine {

struct ChatToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON.
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant", "tool", ...
  std::string content;
  std::string name{};
  std::vector<ChatToolCall> tool_calls{};
  std::string tool_call_id{};
};

struct ChatTool {
  std::string name;
  std::string description;
  std::string parameters;  // A JSON schema.
};

struct ChatInput {
  std::vector<ChatMessage> messages;
  std::vector<ChatTool> tools{};  // What the model may call; empty: nothing.
  bool must_call = false;         // It must call one.
  bool parallel_calls = true;     // It may call several at once.
};

// What a model that was given tools has said: its text without the calls in it, and these.
struct ChatReply {
  std::string content;
  std::vector<ChatToolCall> tool_calls{};  // Without ids where the model gives none.
};

// Immutable; safe from any thread.
class ReplyReader {
 public:
  virtual ~ReplyReader() = default;
  // `partial`: more may follow; what cannot be read yet is left out. kUpstream where the text is no
  // reply as the model's template describes it.
  virtual Result<ChatReply> Read(const std::string& text, bool partial) const = 0;
};

struct ChatPrompt {
  std::string text;  // Up to where the assistant begins to speak.
  // With tools: what the answer must match, and what else belongs to it.
  GrammarSpec grammar{};
  std::vector<std::string> written_specials{};  // Special tokens that are part of the answer.
  std::vector<std::string> stops{};
  std::shared_ptr<const ReplyReader> reader{};  // Null without tools.
};

// Immutable; safe from any thread.
class ChatTemplate {
 public:
  // `source` "" stands for ChatML. kUnsupported when this build cannot execute the template.
  static Result<std::unique_ptr<ChatTemplate>> Create(const llama_model* model, std::string source);
  virtual ~ChatTemplate() = default;

  // kInvalidArgument with the template's own words when it refuses the messages (an unknown role,
  // roles that do not alternate, ...), or where it knows no tools and some are given.
  virtual Result<ChatPrompt> Apply(const ChatInput& input) const = 0;
};

}  // namespace penstock::engine

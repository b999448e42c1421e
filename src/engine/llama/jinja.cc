// Jinja chat templates.
#include "engine/llama/jinja.h"

#include <chat.h>
#include <fmt/core.h>
#include <log.h>

#include <exception>

namespace penstock::engine {
namespace {

class PegReader final : public ReplyReader {
 public:
  explicit PegReader(const common_chat_params& params) : parameters_(params) {
    if (!params.parser.empty()) parameters_.parser.load(params.parser);
  }

  Result<ChatReply> Read(const std::string& text, bool partial) const override try {
    const common_chat_msg message = common_chat_parse(text, partial, parameters_);
    ChatReply reply{.content = message.content};
    for (const common_chat_tool_call& call : message.tool_calls) {
      reply.tool_calls.push_back({.id = call.id, .name = call.name, .arguments = call.arguments});
    }
    return reply;
  } catch (const std::exception& error) {
    return Fail(Code::kUpstream, fmt::format("the model's reply cannot be read: {}", error.what()));
  }

 private:
  common_chat_parser_params parameters_;
};

common_chat_templates_inputs InputsOf(const ChatInput& input) {
  common_chat_templates_inputs inputs;
  for (const ChatMessage& message : input.messages) {
    common_chat_msg& added = inputs.messages.emplace_back();
    added.role = message.role;
    added.content = message.content;
    added.tool_name = message.role == "tool" ? message.name : std::string();
    added.tool_call_id = message.tool_call_id;
    for (const ChatToolCall& call : message.tool_calls) {
      added.tool_calls.push_back({.name = call.name, .arguments = call.arguments, .id = call.id});
    }
  }
  for (const ChatTool& tool : input.tools) {
    inputs.tools.push_back(
        {.name = tool.name, .description = tool.description, .parameters = tool.parameters});
  }
  inputs.tool_choice =
      input.tools.empty() ? COMMON_CHAT_TOOL_CHOICE_NONE : COMMON_CHAT_TOOL_CHOICE_AUTO;
  inputs.enable_thinking = !input.must_call;
  inputs.parallel_tool_calls = input.parallel_calls;
  return inputs;
}

// Other triggers than words are none that an engine can look for in passing: then the text is not
// held to the grammar, and still read.
GrammarSpec GrammarOf(const common_chat_params& params) {
  GrammarSpec grammar{.rules = params.grammar};
  if (!params.grammar_lazy) {
    grammar.begun = params.generation_prompt;
    return grammar;
  }
  for (const common_grammar_trigger& trigger : params.grammar_triggers) {
    if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) grammar.triggers.push_back(trigger.value);
  }
  if (grammar.triggers.size() != params.grammar_triggers.size()) return {};
  return grammar.triggers.empty() ? GrammarSpec{} : grammar;
}

class JinjaTemplate final : public ChatTemplate {
 public:
  explicit JinjaTemplate(common_chat_templates_ptr templates) : templates_(std::move(templates)) {}

  Result<ChatPrompt> Apply(const ChatInput& input) const override try {
    if (!input.tools.empty() &&
        !common_chat_templates_get_caps(templates_.get())["supports_tools"]) {
      return Fail(Code::kInvalidArgument, "the model's chat template knows no tools", "tools");
    }
    common_chat_templates_inputs inputs = InputsOf(input);
    common_chat_params params = common_chat_templates_apply(templates_.get(), inputs);
    if (input.tools.empty()) return ChatPrompt{.text = params.prompt};
    GrammarSpec grammar = GrammarOf(params);
    if (input.must_call && grammar.triggers.empty()) {
      inputs.tool_choice = COMMON_CHAT_TOOL_CHOICE_REQUIRED;
      params = common_chat_templates_apply(templates_.get(), inputs);
      grammar = GrammarOf(params);
    }
    ChatPrompt prompt{.text = params.prompt, .grammar = std::move(grammar)};
    // The rules behind a trigger begin with a call: without one, so does the answer. (Those for
    // calls that are required would let any text stand before it.)
    if (input.must_call) prompt.grammar.triggers.clear();
    if (input.must_call && prompt.grammar.rules.empty()) {
      return Fail(Code::kInvalidArgument,
                  "no call can be forced with the model's chat template: `tool_choice` must be "
                  "\"auto\" or \"none\"",
                  "tool_choice");
    }
    prompt.written_specials = params.preserved_tokens;
    prompt.stops = params.additional_stops;
    prompt.reader = std::make_shared<PegReader>(params);
    return prompt;
  } catch (const std::exception& error) {
    const bool tools = !input.tools.empty();
    return Fail(Code::kInvalidArgument,
                fmt::format("the model's chat template refuses these messages{}: {}",
                            tools ? " and tools" : "", error.what()),
                tools ? "tools" : "messages");
  }

 private:
  common_chat_templates_ptr templates_;
};

}  // namespace

Result<std::unique_ptr<ChatTemplate>> CreateJinjaTemplate(const llama_model* model,
                                                          const std::string& source) try {
  common_log_set_verbosity_thold(-1);  // It writes to stderr by itself; what it says, we return.
  auto templates = common_chat_templates_init(model, source);
  return std::make_unique<JinjaTemplate>(std::move(templates));
} catch (const std::exception& error) {
  return Fail(Code::kUnsupported,
              fmt::format("the model's chat template cannot be used: {}", error.what()));
}

}  // namespace penstock::engine

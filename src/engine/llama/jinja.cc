// Jinja chat templates.
#include "engine/llama/jinja.h"

#include <chat.h>
#include <fmt/core.h>
#include <log.h>

#include <exception>

namespace penstock::engine {
namespace {

class JinjaTemplate final : public ChatTemplate {
 public:
  explicit JinjaTemplate(common_chat_templates_ptr templates) : templates_(std::move(templates)) {}

  Result<std::string> Apply(std::span<const ChatMessage> messages) const override try {
    common_chat_templates_inputs inputs;
    for (const ChatMessage& message : messages) {
      common_chat_msg& added = inputs.messages.emplace_back();
      added.role = message.role;
      added.content = message.content;
    }
    return common_chat_templates_apply(templates_.get(), inputs).prompt;
  } catch (const std::exception& error) {
    return Fail(Code::kInvalidArgument,
                fmt::format("the model's chat template refuses these messages: {}", error.what()),
                "messages");
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

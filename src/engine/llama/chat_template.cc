// Chat templates: Jinja through libllama-common, or llama.cpp's built-in list.
#include "engine/llama/chat_template.h"

#include <fmt/core.h>
#include <llama.h>

#include <exception>
#include <vector>

#include "engine/llama/jinja.h"

namespace penstock::engine {
namespace {

constexpr std::string_view kChatMl = "chatml";

// The templates that llama.cpp recognises by what stands in them.
class KnownTemplate final : public ChatTemplate {
 public:
  explicit KnownTemplate(std::string source) : source_(std::move(source)) {}

  Result<ChatPrompt> Apply(const ChatInput& input) const override {
    if (!input.tools.empty()) {
      return Fail(Code::kInvalidArgument, "the model's chat template knows no tools", "tools");
    }
    std::vector<llama_chat_message> chat;
    std::size_t bytes = 256;
    for (const ChatMessage& message : input.messages) {
      chat.push_back({message.role.c_str(), message.content.c_str()});
      bytes += message.role.size() + message.content.size() + 64;
    }
    std::string prompt(bytes, '\0');
    const auto apply = [&] {
      return llama_chat_apply_template(source_.c_str(), chat.data(), chat.size(), true,
                                       prompt.data(), static_cast<int>(prompt.size()));
    };
    int length = apply();
    if (length > static_cast<int>(prompt.size())) {
      prompt.resize(static_cast<std::size_t>(length));
      length = apply();
    }
    if (length < 0) {
      return Fail(Code::kUnsupported, "the model's chat template is none that this build knows");
    }
    prompt.resize(static_cast<std::size_t>(length));
    return ChatPrompt{.text = std::move(prompt)};
  }

 private:
  std::string source_;
};

}  // namespace

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::Create(const llama_model* model,
                                                           std::string source) {
  if (source.empty()) return std::make_unique<KnownTemplate>(std::string(kChatMl));
#ifdef PENSTOCK_LLAMA_JINJA
  return CreateJinjaTemplate(model, source);
#else
  static_cast<void>(model);
  auto known = std::make_unique<KnownTemplate>(std::move(source));
  const ChatInput probe{.messages = {{.role = "user", .content = "hello"}}};
  if (auto prompt = known->Apply(probe); !prompt) return Fail(prompt.error());
  return known;
#endif
}

}  // namespace penstock::engine

#include "app/tokenizer.h"

#include <memory>

#include "engine/llama/vocabulary.h"

namespace penstock::app {

Result<std::function<int(std::string_view)>> OpenTokenizer(const std::string& path) {
  auto loaded = engine::Vocabulary::Load(path);
  if (!loaded) return Fail(loaded.error());
  const std::shared_ptr<const engine::Vocabulary> vocabulary = std::move(*loaded);
  return [vocabulary](std::string_view text) {
    if (text.empty()) return 0;
    const auto tokens = vocabulary->tokenizer().Tokenize(text, {.add_special = false});
    return tokens ? static_cast<int>(tokens->size()) : 0;
  };
}

}  // namespace penstock::app

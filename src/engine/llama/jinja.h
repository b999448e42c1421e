// Executes a model's Jinja template through libllama-common, whose C++ interface has no promise of
// stability: this pair of files is all that knows it, and is built only with the pinned release.
#pragma once

#include "engine/llama/chat_template.h"

namespace penstock::engine {

// kUnsupported, with the reason, when the template cannot be parsed.
Result<std::unique_ptr<ChatTemplate>> CreateJinjaTemplate(const llama_model* model,
                                                          const std::string& source);

}  // namespace penstock::engine

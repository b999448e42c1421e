// Face::Work: one generation request between its parsing and its answer. Private to the face.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/chunk_writer.h"
#include "engine/face/face.h"
#include "engine/llama/chat_template.h"

namespace penstock::engine {

struct Face::Work {
  ChunkFormat format = ChunkFormat::kChat;
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::string> echoes;  // Per prompt: text to repeat before the answer; empty: none.
  GenerationOptions options;
  // With tools: what the answers must match and how they are read; see ChatPrompt.
  GrammarSpec grammar{};
  std::vector<TokenId> written_specials{};
  std::shared_ptr<const ReplyReader> reader{};
  std::size_t calls_max = 0;  // 0: any number.
  std::string id;
  std::string model;
  std::int64_t created_s = 0;
  std::string caller{};
  std::optional<TimePoint> deadline{};

  // Generations: of each prompt `best_of`, which are numbered prompt by prompt.
  std::size_t choices() const { return prompts.size() * static_cast<std::size_t>(options.best_of); }
  bool keeps_best() const { return options.best_of > options.n; }
  penstock::ResponseHead head() const { return {.id = id, .model = model, .created_s = created_s}; }
  std::string_view EchoOf(std::size_t choice) const {
    return echoes.empty() ? std::string_view()
                          : echoes[choice / static_cast<std::size_t>(options.best_of)];
  }
};

}  // namespace penstock::engine

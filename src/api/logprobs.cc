// Writing log probabilities.
#include "api/logprobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "api/json_text.h"

namespace penstock {
namespace {

// What OpenAI writes for a token that cannot be drawn: JSON has no infinity.
constexpr double kLeast = -9999;

void AppendLogprob(std::string& out, double logprob) {
  fmt::format_to(std::back_inserter(out), "{:.6g}", std::max(logprob, kLeast));
}

void AppendToken(std::string& out, std::string_view piece, double logprob) {
  out.append("{\"token\":");
  AppendJsonString(out, piece);
  out.append(",\"logprob\":");
  AppendLogprob(out, logprob);
  out.append(",\"bytes\":[");
  for (std::size_t i = 0; i < piece.size(); ++i) {
    fmt::format_to(std::back_inserter(out), "{}{}", i == 0 ? "" : ",",
                   static_cast<unsigned>(static_cast<unsigned char>(piece[i])));
  }
  out.push_back(']');
}

}  // namespace

void AppendChatLogprobs(std::string& out, std::span<const TokenLogprob> tokens) {
  out.append("{\"content\":[");
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i != 0) out.push_back(',');
    AppendToken(out, tokens[i].piece, tokens[i].logprob);
    out.append(",\"top_logprobs\":[");
    for (std::size_t j = 0; j < tokens[i].top.size(); ++j) {
      if (j != 0) out.push_back(',');
      AppendToken(out, tokens[i].top[j].first, tokens[i].top[j].second);
      out.push_back('}');
    }
    out.append("]}");
  }
  out.append("],\"refusal\":null}");
}

void AppendCompletionLogprobs(std::string& out, std::span<const TokenLogprob> tokens,
                              std::size_t text_offset) {
  const auto list = [&](const char* name, const auto& append) {
    out.append(name).append("[");
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i != 0) out.push_back(',');
      append(tokens[i]);
    }
    out.push_back(']');
  };
  list("{\"tokens\":", [&](const TokenLogprob& token) { AppendJsonString(out, token.piece); });
  list(",\"token_logprobs\":",
       [&](const TokenLogprob& token) { AppendLogprob(out, token.logprob); });
  list(",\"top_logprobs\":", [&](const TokenLogprob& token) {
    out.push_back('{');
    for (std::size_t j = 0; j < token.top.size(); ++j) {
      if (j != 0) out.push_back(',');
      AppendJsonString(out, token.top[j].first);
      out.push_back(':');
      AppendLogprob(out, token.top[j].second);
    }
    out.push_back('}');
  });
  list(",\"text_offset\":", [&](const TokenLogprob& token) {
    fmt::format_to(std::back_inserter(out), "{}", text_offset);
    text_offset += token.piece.size();
  });
  out.push_back('}');
}

}  // namespace penstock

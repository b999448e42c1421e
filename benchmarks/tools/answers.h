// What the fake model says: the bytes of its responses, in the shape and size of a real chat
// completion's.
#pragma once

#include <string>
#include <string_view>

namespace measure {

// The length of one token's server-sent event, blank line included: what an OpenAI chat chunk
// measures.
inline constexpr std::size_t kEventBytes = 196;

// Head of a streamed response and its first event, which announces the role and holds no token.
const std::string& StreamHead();

// `count` token events, each in a chunk of its own.
std::string TokenEvents(int count);

// The last events: finish reason, usage where asked for, [DONE], and the end of the response.
std::string StreamEnd(bool with_usage, long prompt_tokens, long output_tokens);

// A whole response with a JSON body.
std::string JsonAnswer(std::string_view status, std::string_view body);

// Bodies of about 350 bytes (a short chat completion), of the model list, and of a refusal.
std::string Completion(long prompt_tokens, long output_tokens);
std::string ModelList();
std::string NotFound();

}  // namespace measure

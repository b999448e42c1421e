// Failure: why a request got no answer from one place, in the words of whoever is told.
//
// Pure. It is kept while other places are tried, so that the first can be told after all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/error_body.h"
#include "base/clock.h"
#include "base/result.h"
#include "gateway/answer_fields.h"
#include "gateway/routes.h"
#include "http/head.h"
#include "policy/dispatcher.h"
#include "policy/rate_limiter.h"

namespace penstock::gateway {

struct Failure {
  int status = 500;
  Error error;                         // Meaningful where `body` is empty.
  std::string api_code;                // In place of the usual one; "" keeps it.
  std::optional<LimitDetail> limited;  // Which limit was reached, where it has a figure.
  std::string body;                    // An upstream's own words.
  Duration retry_after{};              // 0: nothing is known of it.
  bool by_contract = false;            // Our own 429: the endpoint's limits, not a replica's.
};

// Of our own making. kDeadline, kUpstream and the like become what a client can act on.
Failure FailureOf(Error error);

// What the words of a refusal need.
struct RefusedRequest {
  std::string_view endpoint;
  Surface surface = Surface::kOpenAi;
  Operation operation = Operation::kChat;
  std::string_view api_version;  // Azure: as the client gave it.
  Duration waited{};             // Before it was refused.
};
// `room`: of the lane that refused it.
Failure FailureOf(const policy::Answer& refused, const policy::Lane::Headroom& room,
                  const RefusedRequest& request);
Failure FailureOf(const policy::RateRefusal& refused, const RefusedRequest& request);

// Azure's answer where a deployment's model does something else.
Failure OperationNotSupported(Operation operation, std::string_view model);
// Databricks' clients look for the code in the message, too.
void PutIntoDatabricksWords(Failure& failure);

// An upstream's code where the dialect has the same words: Databricks' clients know their own only.
inline std::string_view CodeFor(Dialect dialect, std::string_view code) {
  return dialect == Dialect::kDatabricks ? std::string_view() : code;
}

// `retry-after-ms` and `retry-after` for a failure that says when; nothing for others.
void AddRetryFields(const Failure& failure, AnswerFields& fields);

// An upstream's own, as they stand.
void PassRetryFields(const http::Fields& upstream, AnswerFields& fields);
// What they say; 0 where they say nothing, or name a date.
Duration ReadRetryFields(const http::Fields& upstream);

// A prompt that was too long for the model, as OpenAI-like servers say it.
bool IsContextOverflow(const Failure& failure);

}  // namespace penstock::gateway

// A generation request up to the upstream's answer: Gateway::Generate and its steps.
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "api/answers.h"
#include "gateway/call.h"
#include "gateway/gateway.h"

namespace penstock::gateway {
namespace {

policy::RequestSize SizeOf(const RequestPeek& peek, Operation operation) {
  return {.prompt_bytes = peek.prompt_bytes,
          .prompt_token_ids = peek.prompt_token_ids,
          .tokens_max = peek.tokens_max,
          .choices = peek.choices,
          .generates = operation != Operation::kEmbeddings,
          .streams = peek.stream};
}

std::string SessionOf(const RequestPeek& peek, const http::Fields& fields) {
  if (!peek.prompt_cache_key.empty()) return peek.prompt_cache_key;
  return std::string(fields.Get("x-session-id"));
}

}  // namespace

Result<Operation> Gateway::OperationOf(const Route& route, const RequestPeek& peek) const {
  if (route.operation != Operation::kByBody) return route.operation;
  if (peek.has_messages) return Operation::kChat;
  if (peek.has_prompt) return Operation::kCompletions;
  if (peek.has_input) return Operation::kEmbeddings;
  return Fail(
      Code::kInvalidArgument,
      "the body needs one of 'messages' (chat), 'prompt' (completions), 'input' (embeddings)",
      "messages");
}

std::optional<policy::PermissionLevel> Gateway::RightOf(const LiveEndpoint& endpoint,
                                                        const Requester& requester) {
  if (requester.admin) return policy::PermissionLevel::kManage;
  return policy::RightOf(endpoint.route->policy, requester.name, requester.groups);
}

Result<std::shared_ptr<const LiveEndpoint>> Gateway::EndpointOf(const Route& route,
                                                                const RequestPeek& peek,
                                                                const Requester& requester) const {
  const std::string& name = route.name.empty() ? peek.model : route.name;
  if (name.empty()) {
    return Fail(Code::kInvalidArgument, "model: missing; it names the endpoint to call", "model");
  }
  auto endpoint = routes_->Find(name);
  const auto right = endpoint ? RightOf(*endpoint, requester) : std::nullopt;
  if (!right) {
    return Fail(Code::kNotFound, fmt::format("model '{}': no endpoint has this name", name),
                "model");
  }
  if (right < policy::PermissionLevel::kQuery) {
    return Fail(
        Code::kForbidden,
        fmt::format("endpoint '{}': the key '{}' may see it; to query it, it needs CAN_QUERY", name,
                    requester.name),
        "model");
  }
  return endpoint;
}

io::Task<void> Gateway::Generate(http::Exchange& exchange, Route route,
                                 std::shared_ptr<const Requester> requester) {
  std::unique_ptr<Call> call;
  {
    auto prepared = Prepare(exchange, route, co_await exchange.ReadBody(), requester);
    if (!prepared) {
      const auto id = SettleRefused(exchange, route, requester->name, prepared.error());
      co_await RespondError(exchange, route.dialect, std::move(prepared).error(),
                            IdFor(exchange, id));
      co_return;
    }
    call = *std::move(prepared);
  }
  Enlist(*call);
  exchange.CancelWhenPeerGone();
  auto refused = CheckOperation(*call);
  if (!refused && !call->revoked) refused = CheckLimits(*call);
  if (refused) {
    co_await RespondFailure(*call, *std::move(refused));
    co_return;
  }
  if (!call->revoked && co_await Obtain(*call)) {
    if (IsStream(*call)) {
      exchange.GoOnWith(RelayStream(std::move(call)));
      co_return;
    }
    co_await Relay(*call);
  }
  if (call->revoked) co_await EndRevoked(*call);
}

// Azure's deployments do what their model is for, and say so in these words.
std::optional<Failure> Gateway::CheckOperation(const Call& call) const {
  if (call.surface != Surface::kAzure || call.endpoint().served.empty()) return std::nullopt;
  const policy::ServedRoute& served = call.endpoint().served.front();
  const bool embeds = served.task == "llm/v1/embeddings";
  if (served.task.empty() || embeds == (call.operation == Operation::kEmbeddings)) {
    return std::nullopt;
  }
  return OperationNotSupported(call.operation, served.model);
}

meter::EndpointMetrics& Gateway::MetricsOf(const std::string& endpoint) {
  meter::EndpointMetrics*& metrics = endpoint_metrics_[endpoint];
  if (metrics == nullptr) metrics = &metrics_.ForEndpoint(endpoint);
  return *metrics;
}

Result<std::unique_ptr<Gateway::Call>> Gateway::Prepare(
    http::Exchange& exchange, const Route& route, Result<std::string_view> body,
    const std::shared_ptr<const Requester>& requester) {
  if (!body) return Fail(std::move(body).error());
  const auto peek = PeekRequest(PaddedView::Unsafe(*body));
  if (!peek) return Fail(peek.error());
  auto endpoint = EndpointOf(route, *peek, *requester);
  if (!endpoint) return Fail(std::move(endpoint).error());
  const auto operation = OperationOf(route, *peek);
  if (!operation) return Fail(operation.error());
  auto call = std::make_unique<Call>(*this, exchange, MetricsOf((*endpoint)->route->name));
  call->requester = requester;
  call->live = *std::move(endpoint);
  call->operation = *operation;
  call->dialect = route.dialect;
  call->surface = route.surface;
  call->approach->api_version = ApiVersionOf(exchange.head().query);
  call->approach->size = SizeOf(*peek, *operation);
  call->approach->prompt_text = peek->prompt_text;
  call->approach->tools_text = peek->tools_text;
  call->approach->session = SessionOf(*peek, exchange.head().fields);
  std::string_view spillover = exchange.head().fields.Get("x-ms-spillover-deployment");
  if (const auto other = spillover.empty() ? nullptr : routes_->Find(spillover);
      other && RightOf(*other, *requester) < policy::PermissionLevel::kQuery) {
    spillover = {};  // To this key there is no such endpoint.
  }
  call->approach->hops = PlanHops(*routes_, call->live, spillover, random_);
  call->approach->body = *body;
  call->id = NewRequestId();
  const std::string_view given_id = exchange.head().fields.Get("x-request-id").substr(0, 128);
  call->approach->request_id = IdFor(exchange, call->id);
  const std::string_view own_id = exchange.head().fields.Get("x-ms-client-request-id");
  call->approach->azure_client_id = own_id.substr(0, 128);
  std::string_view client_request_id = peek->client_request_id;
  if (client_request_id.empty()) client_request_id = own_id.substr(0, 128);
  if (client_request_id.empty()) client_request_id = given_id;
  call->texts = PackedTexts<Call::kTexts>(
      {client_request_id,
       std::string_view(peek->usage_context).substr(0, meter::kUsageContextBytesMax + 1),
       {}});
  call->usage.input_bytes = peek->prompt_bytes;
  call->usage.input_characters = peek->prompt_characters;
  call->usage.tokens.prompt_tokens = Call::EstimatePrompt(*peek);
  call->stream = peek->stream;
  if (call->endpoint().policy.log_payloads && payload_sink_ != nullptr) {
    call->payload = std::make_unique<meter::PayloadEntry>();
    call->payload->request_too_large = body->size() > meter::kPayloadTextBytesMax;
    if (!call->payload->request_too_large) call->payload->request = *body;
  }
  if (peek->stream && !peek->include_usage) {
    call->strip_usage = true;
    call->approach->rewritten = WithUsageRequested(*body, *peek);
    call->approach->body = call->approach->rewritten;
  }
  return call;
}

// A failure in the client's dialect, with all that is said beside it.
io::Task<void> Gateway::RespondFailure(Call& call, Failure failure) {
  Settle(call, failure.status);
  AddRetryFields(failure, call.approach->limit_fields);
  const bool verbatim = !failure.body.empty() && call.dialect == Dialect::kOpenAi;
  if (!failure.body.empty() && !verbatim) {
    failure.error.message = ReadErrorMessage(failure.body);
    failure.error.field = ReadErrorParam(failure.body);
  }
  if (failure.limited && call.surface == Surface::kDatabricks) PutIntoDatabricksWords(failure);
  std::string body = std::move(failure.body);
  if (failure.limited && call.surface == Surface::kDatabricks && call.dialect == Dialect::kOpenAi) {
    body = LimitErrorBody(failure.error, *failure.limited);
  } else if (!verbatim) {
    if (failure.api_code.empty()) failure.api_code = ReadErrorCode(body);
    body = ErrorBody(call.dialect, failure.error, CodeFor(call.dialect, failure.api_code));
  }
  (void)co_await call.exchange.Respond(failure.status, "application/json", body, call.Fields());
}

void Gateway::Call::NoteSpillover() {
  const std::string& from = approach->hops.front().endpoint->route->name;
  texts.Set(kSpilledFrom, from);
  // Azure's page has named it so since 2026; before, with a place for the deployment's name, which
  // clients took in two ways.
  approach->limit_fields.Add("x-ms-spillover-from-deployment", from);
  approach->limit_fields.Add("x-ms-spillover-from-deployment-name", from);
  approach->spillover_field = "x-ms-spillover-from-" + from;
  approach->limit_fields.Add(approach->spillover_field, from);
  approach->served_field = "x-ms-" + endpoint().name;
  approach->limit_fields.Add(approach->served_field, endpoint().name);
  approach->hops.front().endpoint->limits->NoteSpillover();
  gateway.SettleSpilled(*this);
}

std::string Gateway::Call::IdText() const {
  return approach != nullptr ? approach->request_id : id.ToString("req_");
}

std::vector<http::Field> Gateway::Call::Fields() const {
  std::vector<http::Field> fields;
  fields.reserve(12);
  fields.push_back({"x-request-id", approach->request_id});
  approach->limit_fields.AppendTo(fields);
  approach->rate_fields.AppendTo(fields);
  switch (surface) {
    case Surface::kOpenAi:
      break;
    case Surface::kDatabricks:
      if (!endpoint().served.empty()) fields.push_back({"served-model-name", served().name});
      break;
    case Surface::kAzure:
      fields.push_back({"apim-request-id", approach->request_id});
      fields.push_back({"x-content-type-options", "nosniff"});
      if (!approach->azure_client_id.empty()) {
        fields.push_back({"x-ms-client-request-id", approach->azure_client_id});
      }
      break;
  }
  if (surface == Surface::kAzure || !texts[kSpilledFrom].empty()) {
    fields.push_back({"x-ms-deployment-name", endpoint().name});
  }
  return fields;
}

}  // namespace penstock::gateway

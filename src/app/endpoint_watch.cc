#include "app/endpoint_watch.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "app/flags.h"
#include "app/json_print.h"
#include "app/text_table.h"
#include "http/url.h"

namespace penstock::app {

namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(300);

// Of the newest configuration: "IN_PROGRESS; m: DEPLOYMENT_CREATING 0/1 (why)"; where an update
// failed, "UPDATE_FAILED: why; m: …".
std::string ProgressText(const boost::json::value& endpoint) {
  const auto* config = JsonAt(endpoint, "pending_config.served_entities");
  if (config == nullptr) config = JsonAt(endpoint, "config.served_entities");
  std::string text = JsonText(endpoint, "state.config_update");
  const std::string why = JsonText(endpoint, "update_message");
  if (!why.empty()) text += fmt::format(": {}", why);
  if (config == nullptr) return text;
  for (const auto& entity : config->as_array()) {
    text += fmt::format("; {}: {} {}/{}", JsonText(entity, "name"),
                        JsonText(entity, "state.deployment"), JsonText(entity, "replicas_ready"),
                        JsonText(entity, "replicas_wanted"));
    const std::string message = JsonText(entity, "state.deployment_state_message");
    if (!message.empty() && message != why) text += fmt::format(" ({})", message);
  }
  return text;
}

// A log needs no line for each look at " Next attempt in 3.2 s.".
std::string WithoutCountdown(std::string text) {
  constexpr std::string_view kBegin = " Next attempt in ";
  constexpr std::string_view kEnd = " s.";
  for (;;) {
    const std::size_t begin = text.find(kBegin);
    const std::size_t end = text.find(kEnd, begin == std::string::npos ? begin : begin + 1);
    if (end == std::string::npos) return text;
    text.erase(begin, end + kEnd.size() - begin);
  }
}

struct WatchOptions {
  WaitOptions wait;
  std::string entity;
};

int Events(const WatchOptions& options) {
  const auto answer =
      CallForJson(options.wait.remote, "GET", EndpointPath(options.wait.name) + "/events", "");
  if (!answer) return Report(answer.error());
  boost::json::array events;
  for (const auto& event : answer->at("events").as_array()) {
    const bool of_it = JsonText(event, "served_entity_name") == options.entity;
    if (options.entity.empty() || of_it) events.push_back(event);
  }
  if (options.wait.json) {
    PrintJson(boost::json::serialize(boost::json::object{{"events", std::move(events)}}));
    return kExitGood;
  }
  TextTable table({"TIME (UTC)", "EVENT", "SERVED ENTITY", "MESSAGE"});
  for (const auto& event : events) {
    table.Add({TimeText(event.at("timestamp").to_number<std::int64_t>()), JsonText(event, "type"),
               JsonText(event, "served_entity_name"), JsonText(event, "message")});
  }
  fmt::print("{}", table.ToString());
  return kExitGood;
}

// The names of what it serves, in both configurations.
Result<std::vector<std::string>> EntityNames(const WatchOptions& options) {
  const auto endpoint =
      CallForJson(options.wait.remote, "GET", EndpointPath(options.wait.name), "");
  if (!endpoint) return Fail(endpoint.error());
  std::vector<std::string> names;
  for (const char* path : {"config.served_entities", "pending_config.served_entities"}) {
    const auto* entities = JsonAt(*endpoint, path);
    if (entities == nullptr) continue;
    for (const auto& entity : entities->as_array()) names.push_back(JsonText(entity, "name"));
  }
  return names;
}

int Logs(const WatchOptions& options) {
  const auto names = options.entity.empty() ? EntityNames(options)
                                            : Result<std::vector<std::string>>({options.entity});
  if (!names) return Report(names.error());
  for (const std::string& name : *names) {
    const auto answer =
        CallForJson(options.wait.remote, "GET",
                    fmt::format("{}/served-models/{}/logs", EndpointPath(options.wait.name),
                                http::PercentEncode(name)),
                    "");
    if (!answer) return Report(answer.error());
    fmt::print("{}", JsonText(*answer, "logs"));
  }
  return kExitGood;
}

int Explain(const WatchOptions& options) {
  const auto answer =
      CallForJson(options.wait.remote, "GET", EndpointPath(options.wait.name) + "/explain", "");
  if (!answer) return Report(answer.error());
  if (options.wait.json) {
    PrintJson(boost::json::serialize(*answer));
    return kExitGood;
  }
  for (const auto& entity : answer->at("served_entities").as_array()) {
    fmt::print("{} ({}, {}): scaled to {} tokens/s\n", JsonText(entity, "served_entity_name"),
               JsonText(entity, "strategy"), JsonText(entity, "isolation"),
               JsonText(entity, "level_tokens_per_s"));
    const std::string now = JsonText(entity, "scaling.now.explanation");
    fmt::print("  now: {}\n", now.empty() ? "no decision yet; one is made every second" : now);
    const auto* changes = JsonAt(entity, "scaling.changes");
    if (changes == nullptr) continue;
    for (const auto& change : changes->as_array()) {
      fmt::print("  {}: {}\n", TimeText(change.at("timestamp").to_number<std::int64_t>()),
                 JsonText(change, "explanation"));
    }
  }
  return kExitGood;
}

}  // namespace

int PrintEndpoint(const boost::json::value& endpoint, bool json) {
  if (json) {
    PrintJson(boost::json::serialize(endpoint));
  } else {
    fmt::print("endpoint {}: {}, {}\n", JsonText(endpoint, "name"),
               JsonText(endpoint, "state.ready"), ProgressText(endpoint));
  }
  return kExitGood;
}

int WaitForEndpoint(const WaitOptions& options) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.wait_max_s);
  std::string told;
  const bool terminal = isatty(STDERR_FILENO) == 1;
  for (;;) {
    const auto endpoint = CallForJson(options.remote, "GET", EndpointPath(options.name), "");
    if (!endpoint) return Report(endpoint.error());
    std::string progress = ProgressText(*endpoint);
    if (!terminal) progress = WithoutCountdown(std::move(progress));
    const std::string update = JsonText(*endpoint, "state.config_update");
    if (update != "IN_PROGRESS") {
      PrintEndpoint(*endpoint, options.json);
      return update == "NOT_UPDATING" ? kExitGood : kExitMissedGoal;
    }
    if (progress != told) fmt::print(stderr, "{}: {}\n", options.name, progress);
    told = progress;
    if (std::chrono::steady_clock::now() >= end) {
      fmt::print(stderr, "penstock: {} is not ready after {} s\n", options.name,
                 options.wait_max_s);
      return kExitMissedGoal;
    }
    // tidy: allow(sleep): a command that polls has nothing else to do.
    std::this_thread::sleep_for(kPollInterval);
  }
}

void AddEndpointWatchCommands(Program& program, CLI::App* group) {
  const auto add = [&](const char* name, const char* help, int (*run)(const WatchOptions&)) {
    auto options = std::make_shared<WatchOptions>();
    CLI::App* command = program.Add(name, help, [options, run] { return run(*options); }, group);
    AddRemoteFlags(*command, options->wait.remote);
    command->add_option("name", options->wait.name, "The endpoint")->required();
    return std::pair(command, options);
  };
  const auto [wait, waited] =
      add("wait", "Wait until an endpoint's configuration is in effect, showing how it goes",
          [](const WatchOptions& options) { return WaitForEndpoint(options.wait); });
  AddFlag(*wait, "--wait-max-s", waited->wait.wait_max_s, "Seconds to wait at most")
      ->check(CLI::Range(1, 86400));
  AddSwitch(*wait, "--json", waited->wait.json, "Print the endpoint as JSON");
  const auto [logs, logged] = add("logs", "What an endpoint's replicas printed last", Logs);
  AddFlag(*logs, "--served-entity", logged->entity, "Of this one; else of all");
  const auto [events, told] = add("events", "What happened to an endpoint, newest first", Events);
  AddFlag(*events, "--served-entity", told->entity, "Of this one; else of all");
  AddSwitch(*events, "--json", told->wait.json, "Print JSON instead of a table");
  const auto [explain, explained] =
      add("explain", "Why an endpoint has as many replicas as it has, and what changed", Explain);
  AddSwitch(*explain, "--json", explained->wait.json, "Print JSON");
}

}  // namespace penstock::app

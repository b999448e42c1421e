// EndpointService: creates, shows and deletes endpoints; keeps store, memory and reconciler in
// step.
//
// A change is in the store before it is anywhere else: what was answered is durable, and what
// failed changed nothing. On the control thread; the store blocks.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/catalog.h"
#include "control/endpoint.h"
#include "control/moment.h"
#include "control/reconciler.h"
#include "policy/key_table.h"
#include "policy/routing_table.h"
#include "store/store.h"

namespace penstock::control {

inline constexpr std::size_t kEndpointsMax = 10'000;

// Who asks.
struct Caller {
  std::string name;  // Of the key.
  policy::Role role = policy::Role::kUser;
};

// What a replica of an endpoint is to run.
struct ServedModel {
  std::string endpoint_name;
  std::string source;  // Path of the model file.
};

class EndpointService {
 public:
  // All are borrowed and outlive this.
  EndpointService(store::Store& store, Catalog& catalog, Reconciler& reconciler)
      : store_(store), catalog_(catalog), reconciler_(reconciler) {}

  // Takes up the endpoints in the store. Once, at start. kCorrupt names an endpoint that cannot be
  // what it was.
  Status Load(TimePoint now);

  // Errors: kInvalidArgument and kUnsupported (see ParseEndpointDefinition), kNotFound (the model
  // or its version), kAlreadyExists, kExhausted.
  Result<boost::json::object> Create(std::string_view body, const Caller& caller, Moment moment);
  Result<boost::json::object> Get(const std::string& name, const Caller& caller,
                                  TimePoint now) const;
  boost::json::object List(const Caller& caller, TimePoint now) const;
  // Gone for clients when it returns; its replicas finish what they have. kNotFound.
  Status Delete(const std::string& name, TimePoint now);

  // The endpoint that serves this version (any version without one); nullopt if none does.
  std::optional<std::string> ServerOf(const std::string& model,
                                      std::optional<std::int64_t> version) const;

  // For the shell.
  policy::RoutingTable Routes(const std::function<std::string(std::uint64_t)>& address_of) const;
  std::optional<ServedModel> ModelOf(const std::string& endpoint_id) const;
  Status Record(const RecordUpdate& update);

  // Names of all endpoints, sorted.
  std::vector<std::string> Names() const;

 private:
  struct Entry {
    Endpoint endpoint;
    std::string task;
    std::string source;
  };
  // Fills in what the catalog knows.
  Result<Entry> Describe(Endpoint endpoint);
  void TakeUp(Entry entry, UpdateState update, TimePoint now);

  store::Store& store_;
  Catalog& catalog_;
  Reconciler& reconciler_;
  std::map<std::string, Entry> by_name_;
  std::map<std::string, std::string> name_by_id_;
};

}  // namespace penstock::control

#include "plan/arm_capacity.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <boost/system/error_code.hpp>
#include <vector>

namespace penstock::plan {
namespace {

namespace json = boost::json;

std::unexpected<Error> Bad(const std::string& field, std::string_view must) {
  return Fail(Code::kInvalidArgument, fmt::format("'{}' {}", field, must), field);
}

// The member at a path of objects, or nullptr.
const json::value* At(const json::object& object, std::initializer_list<const char*> path) {
  const json::value* value = nullptr;
  const json::object* inside = &object;
  for (const char* name : path) {
    if (inside == nullptr) return nullptr;
    value = inside->if_contains(name);
    if (value == nullptr) return nullptr;
    inside = value->if_object();
  }
  return value;
}

Result<double> Number(const json::object& workload, const std::string& where,
                      std::initializer_list<const char*> path) {
  std::string field = where;
  for (const char* name : path) field += fmt::format(".{}", name);
  const json::value* const value = At(workload, path);
  if (value == nullptr || !value->is_number()) return Bad(field, "is missing; it must be a number");
  return value->to_number<double>();
}

Result<Workload> ReadWorkload(const json::value& value, std::size_t index) {
  const std::string where = fmt::format("workloads[{}]", index);
  if (!value.is_object()) return Bad(where, "must be an object");
  const json::object& object = value.get_object();
  Workload workload;
  const auto rate = Number(object, where, {"requestPerMinute"});
  if (!rate) return Fail(rate.error());
  const auto input = Number(object, where, {"requestParameters", "avgPromptTokens"});
  if (!input) return Fail(input.error());
  const auto output = Number(object, where, {"requestParameters", "avgGeneratedTokens"});
  if (!output) return Fail(output.error());
  workload.requests_per_minute = *rate;
  workload.input_tokens = *input;
  workload.output_tokens = *output;
  if (const Status good = CheckWorkload(workload); !good) {
    return Bad(where, good.error().message);
  }
  return workload;
}

// The steps in which this sku is sold.
Result<PtuSteps> StepsOf(const PtuModel& model, const std::string& sku) {
  const bool global = sku == "GlobalProvisionedManaged" || sku == "DataZoneProvisionedManaged";
  if (!global && sku != "ProvisionedManaged") {
    return Bad("skuName",
               fmt::format("is '{}'; it must be ProvisionedManaged, GlobalProvisionedManaged or "
                           "DataZoneProvisionedManaged",
                           sku));
  }
  const auto& steps = global ? model.global : model.regional;
  if (!steps)
    return Bad("skuName", fmt::format("is '{}', which {} is not sold as", sku, model.name));
  return *steps;
}

}  // namespace

Result<std::string> CalculateModelCapacity(std::string_view body, const PtuTable& table) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(body, failed);
  if (failed || !parsed.is_object()) return Bad("body", "must be a JSON object");
  const json::object& request = parsed.get_object();
  const json::value* const name = At(request, {"model", "name"});
  if (name == nullptr || !name->is_string()) return Bad("model.name", "is missing");
  const json::value* const sku = At(request, {"skuName"});
  if (sku == nullptr || !sku->is_string()) return Bad("skuName", "is missing");
  const auto model = table.Find(std::string_view(name->get_string()));
  if (!model) return Fail(model.error());
  const auto steps = StepsOf(*model, std::string(sku->get_string()));
  if (!steps) return Fail(steps.error());
  const json::value* const list = At(request, {"workloads"});
  if (list == nullptr || !list->is_array() || list->get_array().empty() ||
      list->get_array().size() > kArmWorkloadsMax) {
    return Bad("workloads", fmt::format("must list 1 to {} workloads", kArmWorkloadsMax));
  }
  std::vector<Workload> workloads;
  for (const json::value& value : list->get_array()) {
    const auto workload = ReadWorkload(value, workloads.size());
    if (!workload) return Fail(workload.error());
    workloads.push_back(*workload);
  }
  const PtuEstimate estimate = EstimatePtus(Sum(workloads), *model, *steps);
  return json::serialize(json::object{
      {"model", request.at("model")},
      {"skuName", *sku},
      {"estimatedCapacity", {{"value", estimate.raw}, {"deployableValue", estimate.units}}}});
}

}  // namespace penstock::plan

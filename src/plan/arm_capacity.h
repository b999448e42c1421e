// ARM capacity: the PTU calculator as Azure's management plane offers it, JSON to JSON.
//
//   POST /subscriptions/{s}/providers/Microsoft.CognitiveServices/calculateModelCapacity
//
// The model is one of the PTU table; several workloads add up. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "plan/ptu.h"

namespace penstock::plan {

inline constexpr std::size_t kArmWorkloadsMax = 1000;

// `body`: {model {format, name, version}, skuName, workloads [{requestPerMinute, requestParameters
// {avgPromptTokens, avgGeneratedTokens}}]}. Answers {model, skuName, estimatedCapacity {value,
// deployableValue}}: raw and as sold, both in PTUs. Errors: kInvalidArgument naming the field,
// kNotFound naming the nearest models.
Result<std::string> CalculateModelCapacity(std::string_view body, const PtuTable& table);

}  // namespace penstock::plan

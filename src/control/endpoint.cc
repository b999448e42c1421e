#include "control/endpoint.h"

#include <fmt/format.h>

#include "base/check.h"

namespace penstock::control {

std::string_view ToString(UpdateState state) {
  switch (state) {
    case UpdateState::kNotUpdating:
      return "NOT_UPDATING";
    case UpdateState::kInProgress:
      return "IN_PROGRESS";
    case UpdateState::kFailed:
      return "UPDATE_FAILED";
  }
  CHECK(false, "an UpdateState outside its enum");
}

Result<UpdateState> ParseUpdateState(std::string_view text) {
  for (const auto state :
       {UpdateState::kNotUpdating, UpdateState::kInProgress, UpdateState::kFailed}) {
    if (text == ToString(state)) return state;
  }
  return Fail(Code::kCorrupt, fmt::format("unknown update state \"{}\"", text));
}

std::string_view ToString(Deployment deployment) {
  switch (deployment) {
    case Deployment::kCreating:
      return "DEPLOYMENT_CREATING";
    case Deployment::kReady:
      return "DEPLOYMENT_READY";
    case Deployment::kRecovering:
      return "DEPLOYMENT_RECOVERING";
    case Deployment::kFailed:
      return "DEPLOYMENT_FAILED";
    case Deployment::kAborted:
      return "DEPLOYMENT_ABORTED";
  }
  CHECK(false, "a Deployment outside its enum");
}

std::string_view ToString(PermissionLevel level) {
  switch (level) {
    case PermissionLevel::kView:
      return "CAN_VIEW";
    case PermissionLevel::kQuery:
      return "CAN_QUERY";
    case PermissionLevel::kManage:
      return "CAN_MANAGE";
  }
  CHECK(false, "a PermissionLevel outside its enum");
}

}  // namespace penstock::control

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"
#include "machine/diagnosis.h"
#include "machine/profile.h"
#include "machine/rule_of_thumb.h"
#include "model/model_index.h"
#include "plan/calibration.h"

namespace hypura::cli {

// `hypura doctor`: one page on what this machine can run, and what hinders it. Fails only if
// nothing can run here.
Status doctor(const std::vector<std::string>& arguments);
CommandDescription describe_doctor();

// What the page says. A value.
struct DoctorPage {
  MachineProfile machine;
  uint64_t capacity_bytes = 0;  // for weights
  std::optional<ModelShape> model;
  std::vector<Finding> findings;
  std::string history;  // the file of past runs; empty where the user has no home
  Calibration past;
};

std::string doctor_text(const DoctorPage& page);
std::string doctor_json(const DoctorPage& page);

// What a token uses of a model: experts as they are routed, of the embeddings a row.
ModelShape shape_of(const ModelIndex& index);

}  // namespace hypura::cli

// The error that a job ended with, as a value and as text for people.
#pragma once

#include <exception>
#include <memory>
#include <string>

#include "common/error.h"

namespace litepull {

// Calls `job`, and turns whatever it throws into an Error. Null when it throws nothing.
template <typename Job>
std::unique_ptr<Error> error_of(Job job) {
  try {
    job();
    return nullptr;
  } catch (const Error& error) {
    return std::make_unique<Error>(error);
  } catch (const std::exception& error) {
    return std::make_unique<Error>(ErrorKind::kFailed, error.what());
  }
}

// The message and, on a line of its own, the hint. Safe to print.
inline std::string describe(const Error& error) {
  return safe_lines(error.hint().empty() ? error.message() : error.message() + "\n  " + error.hint());
}

}  // namespace litepull

// The exit codes of the program; the README's table says what each means to a user.
#pragma once

#include <algorithm>
#include <vector>

#include "common/error.h"

namespace litepull {

inline constexpr int kExitFailed = 1;
inline constexpr int kExitConfiguration = 2;
inline constexpr int kExitConnection = 3;
inline constexpr int kExitIncomplete = 4;
inline constexpr int kExitBusy = 5;
inline constexpr int kExitTooOld = 6;
inline constexpr int kExitInterrupted = 130;  // 128 + SIGINT, as shells have it

// Of an error that ended a job.
inline int exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kConfiguration:
      return kExitConfiguration;
    case ErrorKind::kConnection:
      return kExitConnection;
    case ErrorKind::kBusy:
      return kExitBusy;
    case ErrorKind::kInterrupted:
      return kExitInterrupted;
    case ErrorKind::kFailed:
    case ErrorKind::kPeer:
    case ErrorKind::kCorrupt:
    case ErrorKind::kRefused:
    case ErrorKind::kCancelled:
      return kExitFailed;
  }
  return kExitFailed;
}

// The most severe of several jobs' exit codes, 0 when all went well.
inline int worst_exit_code(const std::vector<int>& codes) {
  for (const int code : {kExitInterrupted, kExitFailed, kExitConnection, kExitConfiguration, kExitBusy,
                         kExitIncomplete, kExitTooOld})
    if (std::find(codes.begin(), codes.end(), code) != codes.end()) return code;
  return 0;
}

}  // namespace litepull

// Checks a published snapshot's databases, each in a child process with limits.
#pragma once

#include <string>

#include "client/cancel.h"
#include "client/check_file.h"
#include "client/manifest.h"

namespace litepull {

enum class VerifyMode { kNone, kQuick, kFull };

// Fills in verified, problems, foreign_key_violations and tables of every database that has no error.
// `snapshot_path` is the snapshot's directory. Throws Error{kCancelled}; a child that dies or takes too long
// is a database that failed.
void verify_databases(Manifest& manifest, const std::string& snapshot_path, VerifyMode mode,
                      const Cancel& cancel);

// check_file in a child of this program.
FileCheck check_file_in_child(const std::string& path, CheckDepth depth, std::uint64_t size_bytes,
                              const Cancel& cancel);

}  // namespace litepull

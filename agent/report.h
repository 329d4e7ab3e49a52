// What the agent says of itself and of its errors, whatever it was asked to do.
#pragma once

#include "common/error.h"
#include "common/protocol.h"

namespace litepull {

Problem problem_of(const Error& error);

// Of this moment; after becoming the databases' owner.
Hello make_hello();

// What the run has cost so far.
Done make_done();

}  // namespace litepull

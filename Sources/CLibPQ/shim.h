// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#ifndef HOLDFAST_CLIBPQ_SHIM_H
#define HOLDFAST_CLIBPQ_SHIM_H

#include <libpq-fe.h>

#endif

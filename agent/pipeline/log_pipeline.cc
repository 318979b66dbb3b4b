#include "agent/pipeline/log_pipeline.h"

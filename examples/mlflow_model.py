"""Log an artifact as a model of MLflow, so that a registry versions it and `mlflow models serve` answers by it.

    pip install ovenbird-runtime mlflow
    ARTIFACT=artifacts/resnet50 python examples/mlflow_model.py        # logs it, prints its address: models:/m-...
    mlflow models serve -m models:/m-... --env-manager local --port 5001

A request has image files in base64: {"dataframe_split": {"columns": ["image"], "data": [["/9j/4AAQ..."]]}}
"""

import base64
import os
from pathlib import Path
from typing import Any

import mlflow
import pandas

import ovenbird_runtime


class Classifier(mlflow.pyfunc.PythonModel):
    """An artifact that MLflow keeps with the model."""

    def load_context(self, context: Any) -> None:
        """Load the artifact from where MLflow has put it."""
        self.model = ovenbird_runtime.load(context.artifacts["artifact"])

    def predict(self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Return one answer for each row of the column `image`."""
        files = [base64.b64decode(text, validate=True) for text in model_input["image"]]
        return [seen.to_json() for seen in self.model.predict(files, top=(params or {}).get("top", 2))]


mlflow.models.set_model(Classifier())  # this file is the model's code: nothing is pickled

if __name__ == "__main__":
    columns = mlflow.types.Schema([mlflow.types.ColSpec("string", "image")])
    numbers = mlflow.types.ParamSchema([mlflow.types.ParamSpec("top", "integer", 2)])
    logged = mlflow.pyfunc.log_model(
        name="classifier",
        python_model=__file__,
        artifacts={"artifact": str(Path(os.environ.get("ARTIFACT", "artifacts/resnet50")).resolve())},
        signature=mlflow.models.ModelSignature(inputs=columns, params=numbers),
        pip_requirements=["ovenbird-runtime"],
    )
    print(logged.model_uri)

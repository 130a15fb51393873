"""The OpenAPI document, and the page that shows it without asking anybody else for anything."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Response, Router, get
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Components, OpenAPIType, Schema
from litestar.params import PathParameter
from litestar.routes import BaseRoute
from litestar.types import ControllerRouterHandler
from litestar.typing import FieldDefinition

from api.http.problems import ProblemError
from api.http.security import SCHEMES
from api.wire import Asked
from sims.scenarios.file import ScenarioFile

_FOLDER = Path(__file__).parent / "docs"
_ASSETS = {
    "swagger-ui-bundle.js": "application/javascript",
    "swagger-ui.css": "text/css",
}
_DESCRIPTION = """\
Perpetual options on BTC and ETH, margined, paid and settled in tokenized stocks.

Amounts, prices and ratios are decimal strings, times integer milliseconds UTC. Every mutation has
an `Idempotency-Key`; a retry with the same key and body gets the first answer. Requests of an
account are signed with its key. What is refused is a problem document with a stable `code`; all
codes are at `/v1/problems`.
"""


def plain(path: str) -> str:
    """Return a route's path without the kinds of its parameters."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _in_place(part: Any, parts: dict[str, Any]) -> Any:
    """Return a part of a schema with what it refers to in the places of its references."""
    if isinstance(part, list):
        return [_in_place(each, parts) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _in_place(parts[part["$ref"]], parts)
    return {name: _in_place(each, parts) for name, each in part.items() if name != "discriminator"}


class ScenarioSchemaPlugin(StructSchemaPlugin):
    """Describes scenarios as msgspec does, which knows of every range; the framework cannot."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Whether it is a scenario."""
        return field_definition.is_subclass_of(ScenarioFile)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Return the schema of a scenario."""
        _, parts = msgspec.json.schema_components([ScenarioFile], ref_template="{name}")
        given = _in_place(parts[ScenarioFile.__name__], parts)
        registry = schema_creator.schema_registry
        schema: Schema = registry.get_schema_for_field_definition(field_definition)
        schema.type, schema.additional_properties = OpenAPIType.OBJECT, False
        schema.title, schema.description = given["title"], given["description"]
        schema.required, schema.properties = given["required"], given["properties"]
        reference: Any = registry.get_reference_for_field_definition(field_definition)
        return reference


class ClosedStructPlugin(StructSchemaPlugin):
    """Says of request bodies that they have no other fields."""

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Return the schema of a struct."""
        schema = super().to_openapi_schema(field_definition, schema_creator)
        if field_definition.is_subclass_of(Asked):
            schema.additional_properties = False
        return schema


class _Pages(Router):
    """The pages of the document, without the framework's own for all paths there are not."""

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        """Add a page."""
        if isinstance(value, HTTPRouteHandler) and value.paths == {"/{path:str}"}:
            return []
        return super().register(value)


def config() -> OpenAPIConfig:
    """Return what the document begins with and where it is shown."""
    return OpenAPIConfig(
        title="Evergamma",
        version=version("evergamma"),
        description=_DESCRIPTION,
        components=Components(security_schemes=SCHEMES),
        use_handler_docstrings=True,
        openapi_router=_Pages("/", route_handlers=[], include_in_schema=False),
        render_plugins=[
            SwaggerRenderPlugin(
                path="/docs",
                favicon="<link rel='icon' href='data:,'>",  # the default is on another host
                js_url="/docs/assets/swagger-ui-bundle.js",
                css_url="/docs/assets/swagger-ui.css",
                standalone_preset_js_url="/docs/assets/swagger-ui-bundle.js",
            ),
            JsonRenderPlugin(path="/openapi.json"),
        ],
    )


@get(
    "/docs/assets/{asset:str}",
    include_in_schema=False,
    media_type=MediaType.TEXT,
    sync_to_thread=False,
    cache_control=None,
)
def get_asset(asset: Annotated[str, PathParameter()]) -> Response[bytes]:
    """Return a part of the documentation's page."""
    if asset not in _ASSETS:
        raise ProblemError("NOT_FOUND", f"There is no {asset}.")
    headers = {"Content-Encoding": "gzip", "Cache-Control": "max-age=86400"}
    content = (_FOLDER / f"{asset}.gz").read_bytes()
    return Response(content, media_type=_ASSETS[asset], headers=headers)


ROUTES = [get_asset]
